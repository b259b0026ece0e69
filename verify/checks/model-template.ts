import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openGguf } from '../../src/model/gguf/file.js';
import { differences, readGolden, renderCase, renderDigest, runPeer } from '../model/peers.js';
import { templateCases, type TemplateCase } from '../model/templates.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

export interface TemplateGolden {
  versions: Record<string, string>;
  digests: string[];
}

/** Renderings of every template and conversation; SmolLM2's own template joins where its file and Python are given. */
async function run(ctx: CheckContext): Promise<CheckResult> {
  const cases = templateCases();
  const golden = await readGolden<TemplateGolden>('templates.json');
  const wrong = differences(
    cases.map((one) => renderDigest(renderCase(one))),
    golden.digests,
  ).map((i) => cases[i]);
  let live = 0;
  if (ctx.python !== undefined) {
    const all = templateCases(await smollm2Template(ctx.smollm2));
    const theirs = await liveDigests(ctx.python, ctx.scratch, all);
    wrong.push(
      ...differences(
        all.map((one) => renderDigest(renderCase(one))),
        theirs.digests,
      ).map((i) => all[i]),
    );
    live = all.length;
  }
  for (const one of wrong.slice(0, 5)) ctx.log(`differs: ${JSON.stringify(one)}`);
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail: `${cases.length} renderings against the golden file (transformers ${golden.versions['transformers']}), ${live} live; ${wrong.length} different`,
    numbers: { golden: cases.length, live, different: wrong.length },
  };
}

async function smollm2Template(path: string | undefined): Promise<Record<string, string>> {
  if (path === undefined) return {};
  const template = (await openGguf(path)).metadata.get('tokenizer.chat_template');
  return typeof template === 'string' ? { smollm2: template } : {};
}

/** What transformers renders for the cases. */
export async function liveDigests(
  python: string,
  scratch: string,
  cases: readonly TemplateCase[],
): Promise<TemplateGolden> {
  const [input, out] = [join(scratch, 'template-cases.json'), join(scratch, 'template-rendered.json')];
  await writeFile(input, JSON.stringify(cases));
  type Rendered = { versions: Record<string, string>; rendered: (string | null)[] };
  const { versions, rendered } = await runPeer<Rendered>(python, 'render_templates.py', [input, out], out);
  return { versions, digests: rendered.map(renderDigest) };
}

const check: Check = {
  name: 'model-template',
  shows: '4: chat template equal to transformers',
  needs: [],
  run,
};
export default check;
