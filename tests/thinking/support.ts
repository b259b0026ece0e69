import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type ScriptedAnswer, ScriptedChatModel, type ScriptedOptions } from '../../src/engine/chat/index.js';
import { extractAnswer, gradeNumeric } from '../../src/tasks/index.js';
import type { Answers, Method, ThinkContext, Thought } from '../../src/thinking/index.js';
import { withoutTiming } from '../../src/thinking/index.js';

export const answers: Answers = {
  extract: (text) => extractAnswer(text)?.answer,
  same: (a, b) => gradeNumeric(a, b).equal === true,
};

export function contextOf(model: ScriptedChatModel, more: Partial<ThinkContext> = {}): ThinkContext {
  return { model, sampling: { maxTokens: 100, temperature: 0.6 }, seed: 7, answers, ...more };
}

export interface Ran {
  thought: Thought;
  model: ScriptedChatModel;
  /** Content of the last turn of every request, in order. */
  prompts: string[];
}

export async function run(
  method: Method,
  prompt: string,
  script: readonly ScriptedAnswer[] | ConstructorParameters<typeof ScriptedChatModel>[0],
  more: Partial<ThinkContext> = {},
  options: ScriptedOptions = {},
): Promise<Ran> {
  const model = new ScriptedChatModel(script, options);
  const thought = await method.run({ prompt }, contextOf(model, more));
  return { thought, model, prompts: model.requests.map(({ messages }) => messages.at(-1)?.content ?? '') };
}

const GOLDEN = path.resolve(import.meta.dirname, '../golden/thinking');

export function readGolden(name: string): Record<string, string> {
  return JSON.parse(readFileSync(path.join(GOLDEN, `${name}.json`), 'utf8')) as Record<string, string>;
}

/** Holds requests and transcript against a committed file; HONE_WRITE_GOLDEN=1 writes it. */
export function expectGolden(name: string, { thought, model }: Ran): void {
  const seen = {
    requests: model.requests,
    answer: thought.answer ?? null,
    text: thought.text ?? null,
    transcript: withoutTiming(thought.transcript),
  };
  const text = `${JSON.stringify(seen, null, 1)}\n`;
  const file = path.join(GOLDEN, `${name}.json`);
  if (process.env['HONE_WRITE_GOLDEN'] === '1') writeFileSync(file, text);
  expect(JSON.parse(text)).toEqual(JSON.parse(readFileSync(file, 'utf8')));
}
