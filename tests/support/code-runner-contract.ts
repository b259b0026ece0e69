import { afterAll, describe, expect, it } from 'vitest';
import type { CodeRunner, Program } from '../../src/tasks/index.js';

async function loaded(runner: CodeRunner, code: string): Promise<Program> {
  const result = await runner.load({ code });
  if (result.outcome !== 'finished') throw new Error(`does not load: ${result.error}`);
  return result.program;
}

/** What everything that runs Python promises. `skip`: why this machine cannot run it. */
export function codeRunnerContract(name: string, make: () => CodeRunner | Promise<CodeRunner>, skip?: string): void {
  describe.skipIf(skip !== undefined)(`${name}${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
    let made: Promise<CodeRunner> | undefined;
    const runner = () => (made ??= Promise.resolve(make()));
    afterAll(async () => (await runner()).close());

    it('reads, prints, and tells the exit code', async () => {
      const code = 'import sys\nprint(input()[::-1])\nprint("aside", file=sys.stderr)\nsys.exit(3)';
      const result = await (await runner()).run({ code, stdin: 'abc\n' });
      expect(result).toMatchObject({ outcome: 'finished', exitCode: 3, stdout: 'cba\n', stderr: 'aside\n' });
    });

    it('has randomness, clocks and files of its own', async () => {
      const code =
        'import os, random, secrets, tempfile, time\nwith tempfile.TemporaryFile() as f: f.write(os.urandom(3))\nprint(random.Random().random() < 1, len(secrets.token_hex(2)), time.perf_counter() > 0)';
      expect(await (await runner()).run({ code })).toMatchObject({ stdout: 'True 4 True\n', stderr: '' });
    });

    it('tells an exception from an end', async () => {
      const result = await (await runner()).run({ code: 'def f():\n    return 1 / 0\nf()' });
      expect(result).toMatchObject({ outcome: 'exception', error: 'ZeroDivisionError: division by zero' });
      expect(result.stderr).toContain('line 2');
    });

    it('ends a program that does not end', async () => {
      const limits = { work: 1_000_000, cpuSeconds: 2, wallSeconds: 4 };
      expect((await (await runner()).run({ code: 'while True: pass', limits })).outcome).toBe('limit');
    });

    it('ends a program that prints without end', async () => {
      const result = await (await runner()).run({ code: 'print("x" * 20000)', limits: { outputBytes: 10_000 } });
      expect(result).toMatchObject({ outcome: 'limit', limit: 'output' });
    });

    it('passes plain data both ways and keeps state between calls', async () => {
      const code =
        'seen = []\ndef add(*a, **k):\n    seen.append(a)\n    return (len(seen), {1: {2.5}}, 2 ** 70, None, "\\u00e9", k)';
      const program = await loaded(await runner(), code);
      const big = { t: 'int', v: '0x400000000000000000' };
      const value = (calls: number) => ({
        t: 'tuple',
        v: [calls, { t: 'dict', v: [[1, { t: 'set', v: [2.5] }]] }, big, null, 'é', { t: 'dict', v: [['k', true]] }],
      });
      for (const calls of [1, 2]) {
        const result = await program.call('add', '[[1, [2]], {"t": "dict", "v": [["k", true]]}]');
        expect(result.outcome === 'finished' ? JSON.parse(result.value) : result).toEqual(value(calls));
      }
      await program.close();
    });

    it('tells what a call raises, and goes on', async () => {
      const program = await loaded(await runner(), 'def f(x):\n    if x: raise KeyError("k")\n    return 1');
      expect(await program.call('f', '[[1], {"t": "dict", "v": []}]')).toMatchObject({ type: 'KeyError' });
      expect(await program.call('f', '[[0], {"t": "dict", "v": []}]')).toEqual({ outcome: 'finished', value: '1' });
      await program.close();
    });

    it('gives every program an interpreter of its own', async () => {
      const spoil = 'import builtins\nbuiltins.print = None\nbuiltins.len = lambda x: 7';
      await (await runner()).run({ code: spoil });
      expect(await (await runner()).run({ code: 'print(len([]))' })).toMatchObject({ stdout: '0\n' });
    });

    it('keeps programs that run at the same time apart', async () => {
      const made = await runner();
      const results = await Promise.all([1, 2, 3, 4, 5].map((n) => made.run({ code: `print(${n})` })));
      expect(results.map(({ stdout }) => stdout)).toEqual(['1\n', '2\n', '3\n', '4\n', '5\n']);
    });

    it('does not run what stands behind __main__ when it loads', async () => {
      const program = await loaded(
        await runner(),
        'x = 1\nif __name__ == "__main__":\n    x = input()\ndef f(): return x',
      );
      expect(await program.call('f', '[[], {"t": "dict", "v": []}]')).toMatchObject({ value: '1' });
      await program.close();
    });
  });
}
