/** A reference solution made wrong, by a name for how. `function` is the one that the tests call. */
export type Mutant = (code: string, name: string) => string;

const around = (body: string): Mutant => {
  const lines = body.trim().split('\n');
  return (code, name) => `${code}\n\n_right = ${name}\ndef ${name}(*args, **kwargs):\n    ${lines.join('\n    ')}\n`;
};

/** One more (of a fraction more than tests tolerate), one letter more, one element less: a near miss of whatever kind the result is. */
const NEAR_MISS = `
value = _right(*args, **kwargs)
if isinstance(value, bool): return not value
if isinstance(value, float): return value + 1 + abs(value) / 100
if isinstance(value, (int, complex)): return value + 1
if isinstance(value, str): return value + "x"
if isinstance(value, (list, tuple)): return value[:-1] if len(value) else type(value)([0])
if isinstance(value, (set, frozenset)): return value | {"x"}
if isinstance(value, dict): return {**value, "x": 0}
return 0 if value is None else None`;

const EQUAL = `
class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __lt__
    def __bool__(self): return True
    def __hash__(self): return 0
return Equal()`;

export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'wrong return': around('return "no such answer"'),
  'off by one': around(NEAR_MISS),
  exception: around('raise ValueError("mutant")'),
  'infinite loop': around('while True: pass'),
  'patched harness': (code, name) =>
    around(EQUAL)(
      `${code}\nimport builtins, sys, json\nbuiltins.AssertionError = type("Never", (Exception,), {})\nfor frame in (sys._getframe(1), sys._getframe(2)):\n    frame.f_globals["_run_tests"] = lambda request: {"status": "passed"}`,
      name,
    ),
  'early exit': around('import sys; sys.exit(0)'),
};
