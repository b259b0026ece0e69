import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { embeddedRunner, humanEvalTask, mbppTask, type Problem, type Task } from '../../src/tasks/index.js';
import { MUTANTS } from '../code/mutants.js';
import type { Check, CheckContext } from '../types.js';

const SECONDS = 60;
/** For mutants alone, so that loops end soon; references run under the default limits (mbpp-123 needs more than this). */
const WORK = 5_000_000;

const all = (task: Task): Problem[] => {
  const source = task.problems('test', 0);
  return Array.from({ length: source.size }, (_, index) => source.at(index));
};

const grade = (task: Task, problem: Problem, program: string) =>
  task.grade(problem, { text: `\`\`\`python\n${program}\n\`\`\``, tokens: new Int32Array(), stopReason: 'eos' });

/** What the tests call: the entry that the problem names, or the first function of the program that a test names. */
function called({ data, answer = '' }: Problem): string {
  const { suite } = data as { suite: { entry?: string; asserts?: string[] } };
  const names = [...answer.matchAll(/^def (\w+)/gm)].map((found) => found[1] as string);
  return suite.entry ?? names.find((name) => suite.asserts?.some((line) => line.includes(`${name}(`))) ?? '';
}

const reference = ({ data, answer = '' }: Problem): string =>
  `${(data as { stub?: { text: string } }).stub?.text ?? ''}${answer}`;

async function references(task: Task, ctx: CheckContext): Promise<{ passed: number; of: number; seconds: number }> {
  const problems = all(task);
  const start = performance.now();
  const verdicts = await Promise.all(problems.map((problem) => grade(task, problem, reference(problem))));
  const seconds = (performance.now() - start) / 1000;
  for (const [index, { status, reason }] of verdicts.entries())
    if (status !== 'correct') ctx.log(`${problems[index]?.id}: ${status}: ${reason}`);
  return { passed: verdicts.filter(({ status }) => status === 'correct').length, of: problems.length, seconds };
}

async function mutants(task: Task, ctx: CheckContext): Promise<{ failed: number; of: number }> {
  const made = all(task).flatMap((problem) =>
    Object.entries(MUTANTS).map(([name, mutate]) => ({ problem, name, mutate })),
  );
  let failed = 0;
  await Promise.all(
    made.map(async ({ problem, name, mutate }) => {
      const { status, reason } = await grade(task, problem, mutate(reference(problem), called(problem)));
      if (status === 'wrong') failed++;
      else ctx.log(`${problem.id}, ${name}: ${status}: ${reason}`);
    }),
  );
  return { failed, of: made.length };
}

const check: Check = {
  name: 'code-humaneval',
  shows: `all HumanEval and MBPP reference solutions pass in the embedded sandbox, HumanEval within ${SECONDS} s on 2 cores; ${Object.keys(MUTANTS).length} mutants of each are wrong`,
  needs: ['data'],
  run: async (ctx) => {
    const { data = '' } = ctx;
    if (!existsSync(join(data, 'humaneval.jsonl')))
      return { status: 'skipped', detail: `no humaneval.jsonl in ${data}: nothing has been shown of code` };
    const tasks = [humanEvalTask({ data }), mbppTask({ data })];
    const limits = { work: WORK };
    const short = [humanEvalTask({ data, limits }), mbppTask({ data, limits })];
    const containment = await embeddedRunner().containment(); // Makes the image, once a process.
    const right = [];
    for (const task of tasks) right.push({ name: task.name, ...(await references(task, ctx)) });
    const wrong = [];
    for (const task of short) wrong.push({ name: task.name, ...(await mutants(task, ctx)) });
    await embeddedRunner().close();
    const complete = right.every(({ passed, of }) => passed === of) && wrong.every(({ failed, of }) => failed === of);
    const seconds = right[0]?.seconds ?? Infinity;
    return {
      status: complete && seconds <= SECONDS ? 'passed' : 'failed',
      detail: [
        ...right.map(
          ({ name, passed, of, seconds: took }) =>
            `${name}: ${passed} of ${of} references pass in ${took.toFixed(0)} s`,
        ),
        ...wrong.map(({ name, failed, of }) => `${name}: ${failed} of ${of} mutants are wrong`),
        `contains ${containment.level}`,
      ].join('; '),
    };
  },
};
export default check;
