import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, lstatSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What a process in the sandbox sees of the machine, and may use. */
export interface SandboxPlan {
  /** Folders and files it may read, at their own paths. */
  readOnly: readonly string[];
  /** An empty folder; what is mounted on it is seen by the process alone. */
  root: string;
  /** Megabytes of /tmp, which is the only place to write and is gone afterwards; 0: none. */
  scratchMegabytes: number;
  processes: number;
}

/** An operating system's way to shut a process in. */
export interface OsSandbox {
  /** `bwrap`, or `unshare` with the user that it starts from. */
  readonly name: string;
  wrap(command: readonly string[], plan: SandboxPlan): string[];
}

export interface OsSandboxes {
  sandbox?: OsSandbox;
  /** Why there is none, way by way. */
  missing: readonly string[];
}

/** The system's libraries: binaries of the machine do not start without them. */
const LIBRARIES = ['/usr/lib', '/usr/lib32', '/usr/lib64', '/lib', '/lib32', '/lib64'];
const NOBODY = '65534';

function onPath(tool: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, tool)).find((path) => existsSync(path));
}

const links = (): string[] => LIBRARIES.filter((path) => existsSync(path) && lstatSync(path).isSymbolicLink());
const folders = (): string[] => LIBRARIES.filter((path) => existsSync(path) && !lstatSync(path).isSymbolicLink());

/**
 * Builds a file tree of read-only mounts in a memory file system of a namespace's own, makes it the root, lets go of the
 * old one, then gives up every right and starts the command, which dies with its parent (a change of user takes that
 * away, so it is asked for last). Arguments: root, scratch megabytes, the arguments of
 * setpriv, --, paths to mount, --, command.
 */
const BUILD_ROOT = `set -e
root=$1; scratch=$2; shift 2
privileges=
while [ "$1" != -- ]; do privileges="$privileges $1"; shift; done; shift
mount -t tmpfs -o size=1m,mode=0755,nosuid,nodev none "$root"
bind() {
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root\${2%/*}"; : > "$root$2"; fi
  mount -o bind,ro,nosuid,nodev "$1" "$root$2"
}
while [ "$1" != -- ]; do
  if [ -L "$1" ]; then ln -s "$(readlink "$1")" "$root$1"; else bind "$1" "$1"; fi
  shift
done; shift
for tool in umount setpriv prlimit; do bind "$(command -v $tool)" /.tools/$tool; done
mkdir -p "$root/.old" "$root/proc" "$root/tmp"
mount -t proc -o ro,nosuid,nodev,noexec proc "$root/proc"
if [ "$scratch" != 0 ]; then mount -t tmpfs -o size="\${scratch}m",mode=1777,nosuid,nodev none "$root/tmp"; fi
mount -o remount,ro "$root"
cd "$root"
pivot_root . .old
cd /
/.tools/umount -l /.old
/.tools/umount -l /proc
unset PATH
exec /.tools/setpriv $privileges --pdeathsig KILL --bounding-set=-all --inh-caps=-all --no-new-privs "$@"`;

const limitsOf = ({ processes }: SandboxPlan): string[] => ['--core=0', '--nofile=64', `--nproc=${processes}`];

const SPACES = ['--mount', '--net', '--pid', '--ipc', '--uts', '--cgroup', '--fork', '--kill-child'];

function unshare(user: 'root' | 'self'): OsSandbox {
  const spaces = user === 'root' ? SPACES : ['--user', '--map-root-user', ...SPACES];
  const privileges = user === 'root' ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
  return {
    name: user === 'root' ? 'unshare as root' : 'unshare with a user namespace',
    wrap: (command, plan) => {
      const mounts = [...folders(), ...links(), ...plan.readOnly];
      const script = ['sh', '-c', BUILD_ROOT, 'sh', plan.root, String(plan.scratchMegabytes)];
      const limited = ['/.tools/prlimit', ...limitsOf(plan), ...command];
      return [
        'setpriv',
        '--pdeathsig',
        'KILL',
        'unshare',
        ...spaces,
        ...script,
        ...privileges,
        '--',
        ...mounts,
        '--',
        ...limited,
      ];
    },
  };
}

const bwrap: OsSandbox = {
  name: 'bwrap',
  wrap: (command, plan) => {
    const bound = [...folders(), ...plan.readOnly].flatMap((path) => ['--ro-bind', path, path]);
    const linked = links().flatMap((path) => ['--symlink', readlinkSync(path), path]);
    const scratch =
      plan.scratchMegabytes > 0 ? ['--size', String(plan.scratchMegabytes * 2 ** 20), '--tmpfs', '/tmp'] : [];
    const spaces = [
      '--unshare-all',
      '--unshare-user',
      '--die-with-parent',
      '--new-session',
      '--clearenv',
      '--cap-drop',
      'ALL',
    ];
    const users = ['--uid', NOBODY, '--gid', NOBODY];
    const inner = ['bwrap', ...spaces, ...users, ...bound, ...linked, ...scratch, '--remount-ro', '/', '--chdir', '/'];
    return ['prlimit', ...limitsOf({ ...plan, processes: plan.processes + 8 }), ...inner, '--', ...command];
  },
};

/** Prints `contained` when it sees no file of the machine, no network and no right, and cannot write. */
const PROBE = `
const fs = require('node:fs');
const seen = ['/etc/passwd', '/root', '/home', '/var', '/.old/etc'].filter((path) => fs.existsSync(path));
const nets = Object.values(require('node:os').networkInterfaces()).flat().filter(({ internal }) => !internal);
let wrote = true;
try { fs.writeFileSync('/probe', ''); } catch { wrote = false; }
console.log(seen.length + nets.length === 0 && !wrote ? 'contained' : JSON.stringify({ seen, nets: nets.length, wrote }));
`;

function works(sandbox: OsSandbox, root: string): string | undefined {
  const plan = { readOnly: [process.execPath], root, scratchMegabytes: 0, processes: 4096 };
  const [program = '', ...args] = sandbox.wrap([process.execPath, '-e', PROBE], plan);
  const env = { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' };
  const { error, stdout, stderr } = spawnSync(program, args, { env, encoding: 'utf8', timeout: 20_000 });
  if (error) return error.message;
  if (stdout.trim() === 'contained') return undefined;
  return (stderr || stdout).trim().split('\n')[0] ?? 'no answer';
}

const isRoot = (): boolean => process.getuid?.() === 0;

function candidates(): { sandbox: OsSandbox; tools: string[] }[] {
  const tools = ['unshare', 'mount', 'umount', 'pivot_root', 'setpriv', 'prlimit'];
  return [
    { sandbox: bwrap, tools: ['bwrap', 'prlimit'] },
    ...(isRoot() ? [{ sandbox: unshare('root'), tools }] : []),
    { sandbox: unshare('self'), tools },
  ];
}

/** Tries the ways to shut a process in, best first, each by looking out of it from the inside. About 0.2 s. */
export function findOsSandbox(root: string): OsSandboxes {
  if (process.platform !== 'linux') return { missing: [`none is known for ${process.platform}`] };
  const missing: string[] = [];
  for (const { sandbox, tools } of candidates()) {
    const absent = tools.filter((tool) => onPath(tool) === undefined);
    const why = absent.length > 0 ? `no ${absent.join(', ')}` : works(sandbox, root);
    if (why === undefined) return { sandbox, missing };
    missing.push(`${sandbox.name}: ${why}`);
  }
  return { missing };
}

/** The first line of a small file under /proc; undefined: the process is gone. */
export function procFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // Processes end while one looks.
  }
}
