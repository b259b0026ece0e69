import { createHash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { datasetTask } from '../../src/tasks/dataset.js';
import { PROMPT_TEMPLATES } from '../../src/tasks/templates/index.js';

/** SHA-256 of each text, first 12 digits: a published prompt does not change by accident. */
const HASHES: Record<string, string> = {
  r1: 'fb27dfaa94ff',
  'qwen-math': '061e378bc19c',
  none: 'b3e27e83bd38',
  dapo: '19f8301c9907',
  orz: '5048c4d95127',
  'still3-short': 'b401b7ee2331',
  'still3-long': '1e846f657f3c',
  fastcurl: '271814c127d4',
  'rlsp-llama': '35978133c3ab',
  'rlsp-qwen': 'e72ecd9ed970',
};

async function fileOf(row: object): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'hone-template-')), 'rows.jsonl');
  await writeFile(path, `${JSON.stringify(row)}\n`);
  return path;
}

describe('published prompts', () => {
  it.each([...PROMPT_TEMPLATES.values()])('$name has one place for the problem and stays as published', (template) => {
    expect(template.text.split('{problem}')).toHaveLength(2);
    const hash = createHash('sha256').update(template.text).digest('hex').slice(0, 12);
    expect({ [template.name]: hash }).toEqual({ [template.name]: HASHES[template.name] });
  });

  it('a template sets prompt, format, stop strings and the rule for thinking', async () => {
    const test = await fileOf({ id: 1, problem: 'What is $1+1$?', answer: '2' });
    const task = datasetTask({ test, template: 'r1' });
    const problem = task.problems('test', 0).at(0);
    expect(task.format).toBe('raw');
    expect(task.stop).toEqual(['</answer>']);
    expect(problem.prompt).toMatch(/\nUser: What is \$1\+1\$\?\nAssistant: <think>$/);
    expect(problem.quoted).toEqual(['What is $1+1$?']);
    const grade = async (text: string) =>
      (await task.grade(problem, { text, tokens: new Int32Array(), stopReason: 'stop' })).status;
    expect(await grade('one and one </think> <answer> 2 </answer>')).toBe('correct');
    expect(await grade('the thought never ends <answer> 2 </answer>')).toBe('wrong');
  });

  it('refuses what a template decides itself', async () => {
    const test = await fileOf({ id: 1, problem: 'p', answer: '2' });
    expect(() => datasetTask({ test, template: 'dapo', prompt: '{problem}!' })).toThrow(/decides prompt itself/);
    expect(() => datasetTask({ test, template: 'dapo', format: 'raw' })).toThrow(/decides format itself/);
  });
});
