import { describe, expect, it } from 'vitest';
import { extractProgram } from '../../../src/tasks/index.js';

const stub = { text: 'import math\ndef f(x):\n    """Text."""\n', entry: 'f' };

describe('extractProgram', () => {
  it.each([
    ['the last block that is Python', '```py\na\n```\n```python\nb\n```\n```bash\nls\n```', 'b\n'],
    ['a block without a language', 'See:\n```\na\n```', 'a\n'],
    ['a block that was cut off', '```python\na = 1\nb', 'a = 1\nb'],
    ['what stands after the thought', '<think>```python\na\n```</think>```python\nb\n```', 'b\n'],
    ['a fence within a longer fence', '````python\na = """\n```\n"""\n````', 'a = """\n```\n"""\n'],
    ['a bare program', 'print(1)', 'print(1)'],
  ])('%s', (_, reply, code) => expect(extractProgram(reply)?.code).toBe(code));

  it.each(['', '   ', '<think>def f(x): return x'])('finds none in %j', (reply) =>
    expect(extractProgram(reply)).toBeUndefined(),
  );

  it('puts the stub before a whole function, and before what goes on from it', () => {
    const whole = extractProgram('```python\ndef f(x):\n    return x\n```', stub);
    expect(whole?.code).toBe(`${stub.text}\n\ndef f(x):\n    return x\n`);
    const body = extractProgram('    return x\n\nprint(f(1))', stub);
    expect(body).toEqual({ code: `${stub.text}    return x\n`, from: 'completion' });
    expect(extractProgram('```python\nreturn x\n```', stub)?.code).toBe(`${stub.text}    return x\n`);
  });
});
