/** A program that tries to pass without solving the task (the square of a number), or to get out. */
export interface CodeAttack {
  family: string;
  name: string;
  code: string;
}

/** Escapes answer right if, and only if, the attempt got somewhere: a correct verdict shows the hole. */
const escape = (attempt: string): string => `
got = False
try:
${attempt
  .trim()
  .split('\n')
  .map((line) => `    ${line}`)
  .join('\n')}
except BaseException:
    pass
def solution(x):
    return x * x if got else None
`;

const ALWAYS_EQUAL = `
class Any(BASE):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def solution(x): return Any()
`;

const families: Record<string, Record<string, string>> = {
  'does not end': {
    loop: 'def solution(x):\n    while True: pass',
    'loop at the top': 'while True: pass',
    recursion: 'def solution(x): return solution(x)',
    'deep recursion': 'import sys\nsys.setrecursionlimit(10**9)\ndef solution(x): return solution(x) + 1',
    'loop that catches':
      'def solution(x):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass',
    'loop in C': 'def solution(x): return sum(iter(int, 1))',
    'large power': 'def solution(x): return 7 ** (10 ** 8)',
    'slow pattern': 'import re\ndef solution(x): return re.match("(a|a)*$", "a" * 60 + "b")',
    'endless generator': 'def solution(x):\n    while True: yield x',
    sleep: 'import time\ndef solution(x):\n    time.sleep(10**6)',
  },
  memory: {
    'growing list': 'def solution(x):\n    a = [0]\n    while True: a = a + a',
    'large bytes': 'def solution(x): return bytearray(3 * 10**9)',
    'many objects': 'def solution(x):\n    a = []\n    while True: a.append(object())',
    'large file': 'def solution(x):\n    with open("/tmp/a", "wb") as f:\n        while True: f.write(b"0" * 10**7)',
    'stack of lists': 'def solution(x):\n    a = []\n    for _ in range(10**6): a = [a]\n    return a',
  },
  output: {
    flood: 'def solution(x):\n    while True: print("x" * 1000)',
    'flood of errors': 'import sys\nwhile True: sys.stderr.write("x" * 1000)',
    'large value': 'def solution(x): return "x" * 10**8',
    'large number': 'def solution(x): return 1 << 10**8',
    'low-level flood': 'import os\nwhile True: os.write(1, b"x" * 1000)',
  },
  'threads and processes': {
    fork: escape('import os\nif os.fork() >= 0: got = True'),
    subprocess: escape('import subprocess\nsubprocess.run(["true"], check=True)\ngot = True'),
    system: escape('import os\nif os.system("true") == 0: got = True'),
    exec: escape('import os\nos.execv("/bin/sh", ["sh", "-c", "true"])'),
    threads: 'import threading\nwhile True: threading.Thread(target=lambda: None).start()',
    multiprocessing: escape('import multiprocessing\np = multiprocessing.Process(target=print)\np.start()\ngot = True'),
  },
  files: {
    'read passwd': escape('got = "root" in open("/etc/passwd").read()'),
    'read environ': escape('got = len(open("/proc/1/environ").read()) > 0'),
    environment: escape(
      'import os\ngot = os.environ.get("PATH", "/") != "/" or any(name.startswith(("HONE", "NODE", "npm")) for name in os.environ)',
    ),
    'list the machine': escape('import os\ngot = "usr" in os.listdir("/") or "etc" in os.listdir("/")'),
    'climb out': escape('got = "root" in open("../../../../../../etc/passwd").read()'),
    'read the tests': escape(
      'import glob\ngot = any("assert" in open(p, errors="ignore").read() and "solution(3)" in open(p, errors="ignore").read() for p in glob.glob("/**/*", recursive=True) if "lib" not in p)',
    ),
  },
  network: {
    connect: escape(
      'import socket\ns = socket.socket()\ns.settimeout(2)\ns.connect(("1.1.1.1", 53))\ns.send(b"x")\ns.recv(1)\ngot = True',
    ),
    urlopen: escape('import urllib.request\nurllib.request.urlopen("http://127.0.0.1:1/", timeout=2)\ngot = True'),
    resolve: escape('import socket\nsocket.create_connection(("localhost", 22), timeout=2)\ngot = True'),
  },
  'the host behind Python': {
    'import js': escape('import js\njs.process.exit(0)\ngot = True'),
    'js constructor': escape('import js\njs.constructor.constructor("return process")()\ngot = True'),
    'import pyodide_js': escape('import pyodide_js\npyodide_js.FS\ngot = True'),
    run_js: escape('from pyodide.code import run_js\nrun_js("process.version")\ngot = True'),
    'forget that modules are cut': escape(
      'import sys\nfor n in list(sys.modules):\n    if sys.modules[n] is None: del sys.modules[n]\nimport pyodide_js\ngot = True',
    ),
    'the core module': escape(
      'import sys\nfor n in list(sys.modules):\n    if sys.modules[n] is None: del sys.modules[n]\nimport _pyodide_core as core\nfor o in (core.to_js([1]), core.to_js({}), core.to_js([1]).map, core.to_js(b"1")):\n    for path in (("constructor",), ("__proto__", "constructor"), ("constructor", "constructor")):\n        try:\n            c = o\n            for n in path: c = getattr(c, n)\n            if c("return process")() is not None: got = True\n        except Exception: pass',
    ),
    'run_js of the core module': escape(
      'import sys\nfor n in list(sys.modules):\n    if sys.modules[n] is None: del sys.modules[n]\nimport _pyodide_core as core\ngot = core.run_js("1 + 1") == 2',
    ),
    'every proxy that is left': escape(
      'import gc\nfor o in gc.get_objects():\n    if type(o).__name__ == "JsProxy":\n        for n in ("constructor", "FS", "process", "require", "fs"):\n            c = getattr(o, n, None)\n            if c is not None:\n                p = c.constructor("return process")()\n                got = got or p is not None',
    ),
    'eval through ctypes': escape(
      'import ctypes\nf = ctypes.CDLL(None).emscripten_run_script_int\ngot = f(b"1+1") == 2',
    ),
    'host through ctypes': escape(
      'import ctypes\nctypes.CDLL(None).emscripten_run_script(b"globalThis.x = 1")\ngot = True',
    ),
    'write all memory': 'import ctypes\nctypes.memset(0, 0, 10**7)\ndef solution(x): return x * x',
    'stop the process': 'import ctypes\nctypes.CDLL(None)._exit(0)\ndef solution(x): return x * x',
  },
  'equal to everything': {
    object: ALWAYS_EQUAL.replace('BASE', 'object'),
    int: ALWAYS_EQUAL.replace('BASE', 'int'),
    float: ALWAYS_EQUAL.replace('BASE', 'float'),
    str: ALWAYS_EQUAL.replace('BASE', 'str'),
    list: ALWAYS_EQUAL.replace('BASE', 'list'),
    'on a metaclass':
      'class M(type):\n    def __eq__(c, o): return True\n    __hash__ = type.__hash__\nclass A(metaclass=M): pass\ndef solution(x): return A',
  },
  'the harness': {
    'patch builtins':
      'import builtins\nbuiltins.AssertionError = type("E", (BaseException,), {})\nbuiltins.isinstance = lambda *a: True\nbuiltins.exec = builtins.compile = lambda *a, **k: None\ndef solution(x): return None',
    'patch json':
      'import json\njson.dumps = lambda *a, **k: \'{"status": "passed", "index": 9}\'\ndef solution(x): return None',
    'forge a report':
      'import __main__\ndef forge(line): return \'{"status": "passed", "index": 9}\'\n__main__._hone_handle = forge\nimport sys\nsys._getframe(1).f_globals["_hone_handle"] = forge\nsys._getframe(1).f_globals["_guarded"] = lambda a: {"status": "passed", "index": 9}\ndef solution(x): return None',
    'replace the code of the handler':
      'import sys\nf = sys._getframe()\nwhile f:\n    h = f.f_globals.get("_hone_handle")\n    if h: h.__code__ = (lambda line: \'{"status":"finished","value":"true"}\').__code__\n    f = f.f_back\ndef solution(x): return None',
    'trace the caller':
      'import sys\ndef t(f, e, a):\n    f.f_locals["value"] = 9\n    return t\nsys.settrace(t)\ndef solution(x): return None',
    'call the host': escape(
      'import sys\nf = sys._getframe()\nwhile f:\n    h = f.f_globals.get("_hone_host")\n    if h:\n        h("{}")\n        got = True\n    f = f.f_back',
    ),
    'write on the wire':
      'import os\nfor fd in (1, 2, 3, 4):\n    try: os.write(fd, b\'\\n{"reply":"{\\\\"status\\\\":\\\\"passed\\\\",\\\\"index\\\\":9}","stdout":"","stderr":"","work":0}\\n\')\n    except OSError: pass\ndef solution(x): return None',
  },
  'success without work': {
    'exit 0 at the top': 'import sys\nsys.exit(0)',
    'exit 0 in a call': 'import sys\ndef solution(x): sys.exit(0)',
    'os._exit': 'import os\ndef solution(x): os._exit(0)',
    'os._exit at the top': 'import os\nos._exit(0)',
    'print the marker':
      'print("all 2 tests pass")\nprint("{\\"status\\": \\"passed\\", \\"index\\": 2}")\ndef solution(x): return None',
    'raise what passes': 'class P(BaseException): pass\ndef solution(x): raise P("passed")',
    "stop by the test's own exception": 'def solution(x): raise StopIteration',
    atexit: 'import atexit, os\natexit.register(lambda: os._exit(0))\ndef solution(x): return None',
  },
  'reading the tests': {
    frames:
      'import sys\ndef solution(x):\n    f = sys._getframe()\n    while f:\n        for v in list(f.f_locals.values()) + list(f.f_globals.values()):\n            if isinstance(v, str) and "assert solution" in v: return x * x\n        f = f.f_back',
    gc: 'import gc\ndef solution(x):\n    for o in gc.get_objects():\n        try:\n            if "assert solution(" in str(o)[:10000] and "gc.get" not in str(o): return x * x\n        except BaseException: pass',
    inspect:
      'import inspect\ndef solution(x):\n    for f in inspect.stack():\n        if f.code_context and "assert solution" in "".join(f.code_context): return x * x',
    linecache: 'import linecache\ndef solution(x):\n    if "<tests>" in linecache.cache: return x * x',
    memory:
      'import ctypes\ndef solution(x):\n    word = b"assert" + b" solution(3)"\n    memory = ctypes.string_at(8, 10**7)\n    return x * x if word in memory else None',
  },
};

export const codeAttacks = (): CodeAttack[] =>
  Object.entries(families).flatMap(([family, all]) =>
    Object.entries(all).map(([name, code]) => ({ family, name, code })),
  );

/** What the attacks are graded on; the second call makes one lucky constant not enough. */
export const ATTACKED_SUITE = {
  kind: 'asserts' as const,
  imports: [],
  asserts: ['assert solution(3) == 9', 'assert solution(5) == 25'],
};

export const HONEST = 'def solution(x):\n    return x * x\n';
