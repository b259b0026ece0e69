/** A grader for SQL: a query is right when it gives the rows of the gold query, in any order. Needs `npm i sql.js`. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { correct, defineTask, extractAnswer, noVerdict, wrong } from 'hone/tasks';

// A thread of its own, since a query may never end; a fresh database for each query, since one may change it.
const THREAD = `const { parentPort, workerData: { module, schema, queries } } = require('node:worker_threads');
const rows = ({ Database }, query) => { const db = new Database(); db.run(schema);
  try { return db.exec(query).flatMap(({ values }) => values.map((row) => JSON.stringify(row))).sort().join(); }
  catch (error) { return 'failed: ' + error.message; } };
require(module)().then((sql) => parentPort.postMessage(queries.map((query) => rows(sql, query))));`;
async function run(schema: unknown, ...queries: string[]): Promise<string[]> {
  const workerData = { module: createRequire(import.meta.url).resolve('sql.js'), schema, queries };
  const thread = new Worker(THREAD, { eval: true, workerData, resourceLimits: { maxOldGenerationSizeMb: 256 } });
  const answered = once(thread, 'message', { signal: AbortSignal.timeout(5000) });
  return (await answered.finally(() => thread.terminate()))[0] as string[];
}

export default defineTask({
  ...{ name: 'sql', description: 'ask a table in SQL', format: 'chat', suggestedMaxTokens: 256 },
  generate(random) {
    const rows = ['Ana', 'Ben', 'Cem'].map(
      (name) => `('${name}', 'T${random.nextInt(1, 3)}', ${random.nextInt(1, 9)})`,
    );
    const schema = `create table staff(name, town, pay); insert into staff values ${rows.join()};`;
    const answer = `select town from staff group by town having max(pay) >= ${random.nextInt(2, 8)}`;
    const asked = `the towns whose highest pay is at least ${answer.slice(-1)}, as one query within <answer></answer>.`;
    return { prompt: `${schema}\nSelect ${asked}`, answer, data: { schema } };
  },
  async grade({ answer = '', data }, { text }) {
    const query = extractAnswer(text, ['tag'])?.answer;
    if (query === undefined) return wrong('no <answer>', { wellFormed: false });
    const [gold = '', given] = await run(data?.schema, answer, query).catch(() => ['', 'failed: no end, or too much']);
    if (gold.startsWith('failed')) return noVerdict('gold', gold);
    return gold === given ? correct(query, 'the same rows') : wrong(`other rows: ${given}`, { extracted: query });
  },
  goldResponse: ({ answer }) => `<answer>${answer}</answer>`,
});
