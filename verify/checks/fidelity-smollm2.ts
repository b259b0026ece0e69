import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { encodeChat, loadModelFolder, openSafetensors, type ModelFolder } from '../../src/model/index.js';
import { CHATS, PASSAGES } from '../fidelity/texts.js';
import { mustRun } from '../hone.js';
import { localEngine } from '../local-engine.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

const LIMIT = 1e-3;
const POSITIONS = 1000;

function sequences(model: ModelFolder): Int32Array[] {
  return [...CHATS.map((chat) => encodeChat(model, chat)), ...PASSAGES.map((text) => model.tokenizer.encode(text))];
}

function argMax(row: Float32Array): number {
  return row.reduce((best, value, i) => (value > (row[best] as number) ? i : best), 0);
}

/** Logits [T, V] of transformers for the same tokens, one sequence at a time. */
async function peerLogits(ctx: CheckContext, folder: string, tokens_ST: readonly Int32Array[]): Promise<string> {
  const [input, out] = [path.join(ctx.scratch, 'tokens.json'), path.join(ctx.scratch, 'logits.safetensors')];
  await writeFile(input, JSON.stringify(tokens_ST.map((tokens) => [...tokens])));
  const script = path.resolve(import.meta.dirname, '../peers/transformers_logits.py');
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
  await promisify(execFile)(ctx.python as string, [script, folder, input, out], { env });
  return out;
}

async function ourLogits(folder: string, tokens_ST: readonly Int32Array[]): Promise<Float32Array[]> {
  const engine = await localEngine();
  try {
    const model = await engine.openModel({ source: { kind: 'folder', path: folder } });
    return await model.logits(tokens_ST);
  } finally {
    await engine.close();
  }
}

async function run(ctx: CheckContext): Promise<CheckResult> {
  const folder = path.join(ctx.scratch, 'smollm2');
  await mustRun(['models', 'import', ctx.smollm2 as string, '--out', 'smollm2'], { cwd: ctx.scratch });
  const tokens_ST = sequences(await loadModelFolder(folder));
  const ours = await ourLogits(folder, tokens_ST);
  const theirs = await openSafetensors(await peerLogits(ctx, folder, tokens_ST));
  let [worst, positions, sameTop1] = [0, 0, 0];
  for (const [i, tokens] of tokens_ST.entries()) {
    const [mine, peer] = [ours[i] as Float32Array, (await theirs.read(`logits.${i}`)).data];
    const V = peer.length / tokens.length;
    for (let t = 0; t < tokens.length; t++) {
      const [a, b] = [mine.subarray(t * V, (t + 1) * V), peer.subarray(t * V, (t + 1) * V)];
      worst = a.reduce((most, value, v) => Math.max(most, Math.abs(value - (b[v] as number))), worst);
      sameTop1 += Number(argMax(a) === argMax(b));
      positions++;
    }
    ctx.log(`${tokens.length} tokens: max |difference| so far ${worst.toExponential(2)}`);
  }
  const holds = worst <= LIMIT && sameTop1 === positions && positions >= POSITIONS;
  return {
    status: holds ? 'passed' : 'failed',
    detail: `logits of SmolLM2-135M-Instruct on ${CHATS.length} chats and ${PASSAGES.length} plain passages`,
    numbers: { positions, maxDifference: worst.toExponential(2), sameTop1 },
  };
}

const check: Check = {
  name: 'fidelity-smollm2',
  shows: "4: SmolLM2's logits within 1e-3 of transformers' on the same weights, equal top-1, over >= 1,000 positions",
  needs: ['smollm2', 'python'],
  run,
};
export default check;
