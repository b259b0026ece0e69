/** An evaluation of 500 x 4 over a server that fails at 30 % of requests, and one that is killed five times. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RandomStream } from '../../src/core/index.js';
import { type Fault, startServer, type TestServer, type WireRequest } from '../../tests/support/openai-server.js';
import { hone, mustRun } from '../hone.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const PROBLEMS = 500;
const K = 4;
const KILLS = 5;
const CONCURRENCY = 32;
const FAULTS: readonly Fault[] = [
  { kind: 'status', status: 429, retryAfter: '0.05' },
  { kind: 'status', status: 500 },
  { kind: 'hang' },
  { kind: 'cut', after: 2 },
  { kind: 'malformed' },
  { kind: 'empty' },
];

const draw = (name: string, index: number): RandomStream => new RandomStream(5, name, index);

/** A pure function of prompt and seed: right in about two of three. */
function answer({ body }: WireRequest) {
  const prompt = (body['messages'] as { content: string }[])[0]?.content ?? '';
  const value = Number(/(\d+)/.exec(prompt)?.[1] ?? 0);
  const right = draw('answer', value).uniform(Number(body['seed'])) < 0.66;
  return {
    choices: [{ content: `I think it is \\boxed{${right ? value + 1 : -1}}.` }],
    usage: [12, 9] as [number, number],
  };
}

interface Run {
  server: TestServer;
  /** Good replies that were sent, by request. */
  good: Map<string, number>;
}

async function upstream(faulty: boolean, delay: number): Promise<Run> {
  const good = new Map<string, number>();
  const server = await startServer({
    fault: ({ number }) => {
      const random = draw('fault', number);
      return faulty && random.next() < 0.3 ? FAULTS[random.nextInt(0, FAULTS.length - 1)] : undefined;
    },
    answer: async (request) => {
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      const key = JSON.stringify(request.body);
      good.set(key, (good.get(key) ?? 0) + 1);
      return answer(request);
    },
  });
  return { server, good };
}

function args({ server }: Run, out: string): string[] {
  return [
    ...['eval', './problems.jsonl', '--endpoint', server.url, '--model-name', 'test', '--n', String(PROBLEMS)],
    ...['--k', String(K), '--temperature', '1', '--concurrency', String(CONCURRENCY), '--request-timeout', '2'],
    ...['--out', out, '--json'],
  ];
}

/** A result without times and without the address of the server, which differs. */
async function stable(file: string): Promise<string> {
  const result = JSON.parse(await readFile(file, 'utf8')) as { rows: unknown[]; settings: { model?: unknown } };
  return JSON.stringify({ ...result, timing: undefined, settings: { ...result.settings, model: undefined } });
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const rows = Array.from({ length: PROBLEMS }, (_, i) => ({
    id: `p${i}`,
    problem: `What follows ${i}?`,
    answer: `${i + 1}`,
  }));
  await writeFile(path.join(ctx.scratch, 'problems.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const at = (name: string): string => path.join(ctx.scratch, name);
  const evaluate = async (faulty: boolean, out: string): Promise<Run> => {
    const found = await upstream(faulty, 0);
    const finished = await mustRun(args(found, out), { cwd: ctx.scratch });
    ctx.log(`${out}: ${finished.seconds.toFixed(0)} s, ${found.server.requests.length} requests`);
    await found.server.close();
    return found;
  };
  await evaluate(false, 'calm.json');
  const calm = await stable(at('calm.json'));
  const stormy = await evaluate(true, 'stormy.json');
  const killed = await killedRuns(ctx);
  const samples = (JSON.parse(calm) as { rows: unknown[] }).rows.length;
  const repeats = [...killed.good.values()].reduce((sum, times) => sum + times - 1, 0);
  const wrong = [
    ...(samples === PROBLEMS * K ? [] : [`${samples} samples`]),
    ...((await stable(at('stormy.json'))) === calm ? [] : ['faults changed the result']),
    ...((await stable(at('killed.json'))) === calm ? [] : ['kills changed the result']),
    ...(repeats <= KILLS * CONCURRENCY ? [] : [`${repeats} replies were asked for again`]),
  ];
  const numbers = { samples, requestsWithFaults: stormy.server.requests.length, repeatedAfterKills: repeats };
  const detail = wrong.length === 0 ? 'the same result with faults, and with kills, as without' : wrong.join('; ');
  return { status: wrong.length === 0 ? 'passed' : 'failed', detail, numbers };
}

/** Five times killed when a drawn number of replies has been sent, then to the end. */
async function killedRuns(ctx: CheckContext): Promise<Run> {
  const found = await upstream(false, 100);
  const share = (PROBLEMS * K) / (KILLS + 1);
  for (let kill = 0; kill < KILLS; kill++) {
    const enough = Math.round(share * (kill + draw('kill', kill).next()) + 1);
    const killWhen = (): boolean => sent(found) >= enough;
    const { code } = await hone(args(found, 'killed.json'), { cwd: ctx.scratch, killWhen });
    if (code === 0) throw new Error(`it had ended before kill ${kill + 1}`);
    ctx.log(`killed after ${sent(found)} replies`);
  }
  await mustRun(args(found, 'killed.json'), { cwd: ctx.scratch });
  await found.server.close();
  return found;
}

const sent = ({ good }: Run): number => [...good.values()].reduce((sum, times) => sum + times, 0);

const check: Check = {
  name: 'chat-faults',
  shows:
    'an evaluation of 500 x 4 against a server that fails at 30 % of requests, or killed at 5 moments, ends with the same result; no durable reply is asked for again',
  needs: [],
  run,
};
export default check;
