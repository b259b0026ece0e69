import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openGguf } from '../../src/model/gguf/file.js';
import { differences, readGolden, renderCase, renderDigest, runPeer } from '../model/peers.js';
import { realTemplateCases, templateCases, VARIED_CHATS, type TemplateCase } from '../model/templates.js';
import type { Check, CheckContext, CheckResult } from '../types.js';

export interface TemplateGolden {
  versions: Record<string, string>;
  digests: string[];
}

function wrongCases(cases: readonly TemplateCase[], peer: TemplateGolden): TemplateCase[] {
  const ours = cases.map((one) => renderDigest(renderCase(one)));
  return differences(ours, peer.digests).flatMap((i) => cases[i] ?? []);
}

/** Renderings of the golden file; real models' own templates join where their files and Python are given. */
async function run(ctx: CheckContext): Promise<CheckResult> {
  const cases = templateCases();
  const golden = await readGolden<TemplateGolden>('templates.json');
  const wrong = wrongCases(cases, golden);
  const own = await realTemplates(ctx);
  const real = realTemplateCases(Object.values(own));
  if (ctx.python !== undefined) {
    const all = [...cases, ...real];
    wrong.push(...wrongCases(all, await liveDigests(ctx.python, ctx.scratch, all)));
  }
  for (const one of wrong.slice(0, 5)) ctx.log(`differs: ${JSON.stringify(one)}`);
  const compared = ctx.python === undefined ? [] : Object.keys(own);
  return {
    status: wrong.length === 0 ? 'passed' : 'failed',
    detail: `${cases.length} renderings against the golden file (transformers ${golden.versions['transformers']}); live with ${VARIED_CHATS.count} chats and more each: ${compared.join(', ') || 'none (needs --python and --smollm2 or --qwen)'}`,
    numbers: {
      golden: cases.length,
      realTemplates: compared.length,
      realRenderings: compared.length === 0 ? 0 : real.length,
      different: wrong.length,
    },
  };
}

/** SmolLM2's template from its GGUF, and every template in Qwen's folder. */
async function realTemplates({ smollm2, qwen }: CheckContext): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  if (smollm2 !== undefined) {
    const template = (await openGguf(smollm2)).metadata.get('tokenizer.chat_template');
    if (typeof template === 'string') found['smollm2'] = template;
  }
  if (qwen !== undefined) {
    const files = (await readdir(qwen)).filter((file) => file.endsWith('.jinja')).sort();
    for (const file of files) found[`qwen/${file}`] = await readFile(join(qwen, file), 'utf8');
  }
  return found;
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
  shows: "chat templates render as in transformers: every construct, and SmolLM2's and Qwen's own on >= 50 chats",
  needs: [],
  run,
};
export default check;
