import { describe, expect, it } from 'vitest';
import { emptyFolder, hone, onlyJson } from './hone.js';

const COMMANDS = [
  ['quickstart'],
  ['train'],
  ['resume'],
  ['eval'],
  ['eval', 'list'],
  ['eval', 'compare'],
  ['eval', 'report'],
  ['sample'],
  ['think'],
  ['serve'],
  ['models'],
  ['models', 'import'],
  ['models', 'export'],
  ['models', 'info'],
  ['models', 'merge'],
  ['tasks'],
  ['tasks', 'list'],
  ['tasks', 'preview'],
  ['grade'],
  ['grade', 'pairs'],
  ['grade', 'explain'],
  ['data'],
  ['data', 'validate'],
  ['recipes'],
  ['recipes', 'list'],
  ['recipes', 'show'],
  ['runs'],
  ['runs', 'list'],
  ['runs', 'show'],
  ['runs', 'compare'],
  ['runs', 'diff'],
  ['runs', 'report'],
  ['doctor'],
];

describe('help', () => {
  it.each(COMMANDS.map((words) => [words.join(' '), words] as const))(
    'of %s ends with examples, and offers --json',
    async (name, words) => {
      const { code, stdout } = await hone([...words, '--help']);
      expect(code).toBe(0);
      expect(stdout.split('Examples:')[1]).toContain(`$ hone ${name}`);
      if (words.length > 1 || !isGroup(words[0])) expect(stdout).toContain('--json');
    },
  );

  it('comes without a command as well, and lists all of them', async () => {
    const { code, stdout } = await hone([]);
    expect(code).toBe(0);
    for (const [name] of COMMANDS) expect(stdout).toContain(name);
  });

  it('prints the version of package.json', async () => {
    const { code, stdout } = await hone(['--version']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  });
});

function isGroup(name: string | undefined): boolean {
  return COMMANDS.some(([first, second]) => first === name && second !== undefined);
}

describe('usage errors', () => {
  it.each([
    [['sample', 'hello', '--model', 'm'], 'hone sample --model MODEL --prompt "TEXT"'],
    [['sample', 'hello'], 'hone sample --model MODEL --prompt "TEXT"'],
    [['runs', 'diff', 'a'], 'hone runs diff runs/a runs/b'],
    [['models', 'export', 'm'], 'hone models export --help'],
  ])('of %j say what to type', async (args, wayOut) => {
    const { code, stderr } = await hone(args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(wayOut) });
  });

  it.each([
    ['an unknown command', ['trian'], 'Did you mean train?'],
    ['an unknown option', ['doctor', '--jsno'], 'Did you mean --json?'],
    ['an unknown subcommand', ['runs', 'dif'], 'Did you mean diff?'],
    ['a missing argument', ['eval', '--model', 'x'], "missing required argument 'task'"],
    ['a number that is none', ['eval', 'countdown', '--model', 'x', '--n', 'many'], 'whole number of at least 1'],
    ['an engine that is not there', ['train', 'grpo', '--model', 'x', '--engine', 'gpu'], 'Allowed choices are local'],
    ['a pair that is none', ['train', 'grpo', '--model', 'x', '--set', 'iterations'], 'name=value'],
  ])('%s ends with exit code 2 and says what there is', async (_, args, expected) => {
    const { code, stdout, stderr } = await hone(args);
    expect(stderr).toContain(expected);
    expect(stderr).toMatch(/^error: .+\n {2}way out: hone .*--help shows what there is\.\n$/);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('a group without a subcommand lists them', async () => {
    const { code, stderr } = await hone(['runs']);
    expect(code).toBe(2);
    expect(stderr).toContain('a subcommand is missing');
    expect(stderr).toContain('hone runs diff');
  });

  it('are one JSON object with --json', async () => {
    const finished = await hone(['runs', 'dif', '--json']);
    expect(finished.code).toBe(2);
    expect(onlyJson(finished)).toEqual({
      error: { kind: 'usage', message: expect.stringContaining('Did you mean diff?'), hint: expect.any(String) },
    });
  });
});

describe('the process', () => {
  it('ends quietly when nobody reads its output any more', async () => {
    const finished = await hone(['recipes', 'show', 'grpo'], {
      beside: async (child) => void child.stdout?.destroy(),
    });
    expect(finished).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('ends at once when it is interrupted a second time', async () => {
    const cwd = await emptyFolder();
    const args = ['train', 'sft', '--model', 'random:nano', '--task', 'last-digit', '--set', 'updates=100000'];
    const { code, stderr } = await hone([...args, '--set', 'updatesPerIteration=100000', '--out', 'run'], {
      cwd,
      beside: async (child, printed) => {
        await printed('SFT:');
        child.kill('SIGINT');
        await printed('stopping at the next clean point');
        child.kill('SIGINT');
      },
    });
    expect(code).toBe(130);
    expect(stderr).toContain('stopped at once');
  });

  it('prints no colours where nobody sees them', async () => {
    expect((await hone(['tasks', 'list'], { env: { FORCE_COLOR: '1' } })).stdout).not.toContain('\u001b');
  });
});
