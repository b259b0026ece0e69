import { join } from 'node:path';
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { z } from 'zod';
import { HoneError, messageOf } from '../core/index.js';
import { readJson, readText } from './files.js';
import { parseWith } from './parse.js';
import { callPythonStrip, STRIP_FUNCTIONS } from './template-strip.js';
import { withTimeLimit } from './time-limit.js';
import { readSpecialTokens, type SpecialTokenNames } from './tokenizer.js';
import type { ChatMessage, ChatTemplate } from './types.js';

/** Published templates stay below 30,000 characters. */
const MAX_TEMPLATE_CHARACTERS = 256 * 1024;
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
const RENDER_LIMIT_MS = 5000;
/** Longest list that `range` gives a template: the one call whose memory a few characters can make arbitrary. */
const MAX_RANGE = 100_000;

const named = z.object({ name: z.string(), template: z.string() });
const withTemplate = z.looseObject({ chat_template: z.union([z.string(), z.array(named)]).nullish() });

/**
 * The chat template of a model folder: chat_template.jinja, else chat_template in tokenizer_config.json (a template,
 * or a list of named ones of which `default` is taken); undefined where there is none.
 *
 * Templates come with models and are hostile. They see only the values handed to them, run under a time limit and
 * get bounded ranges; the memory that string and list arithmetic takes within that time is not bounded.
 * @throws HoneError('input') when it is too long or does not parse.
 */
export async function loadChatTemplate(folder: string): Promise<ChatTemplate | undefined> {
  const file = join(folder, 'chat_template.jinja');
  const configFile = join(folder, 'tokenizer_config.json');
  const text = await readText(file, 4 * MAX_TEMPLATE_CHARACTERS);
  const tokens = await readSpecialTokens(folder);
  if (text !== undefined) return createChatTemplate(text, tokens, file);
  const { chat_template } = parseWith(withTemplate, (await readJson(configFile, MAX_CONFIG_BYTES)) ?? {}, configFile);
  if (chat_template === null || chat_template === undefined) return undefined;
  return createChatTemplate(pickDefault(chat_template, configFile), tokens, configFile);
}

function pickDefault(templates: string | z.infer<typeof named>[], where: string): string {
  if (typeof templates === 'string') return templates;
  const found = templates.find(({ name }) => name === 'default') ?? (templates.length === 1 ? templates[0] : undefined);
  if (!found)
    throw new HoneError('input', `chat_template: none of ${templates.length} templates is named "default"`, { where });
  return found.template;
}

/** A template from its source. @param where the file it came from, for error messages. */
export function createChatTemplate(source: string, tokens: SpecialTokenNames, where: string): ChatTemplate {
  if (source.length > MAX_TEMPLATE_CHARACTERS)
    throw new HoneError('input', `chat template of ${source.length} characters exceeds ${MAX_TEMPLATE_CHARACTERS}`, {
      where,
    });
  const guard = <T>(work: () => T): T => guarded(where, work);
  const template = guard(() => new Template(source));
  callPythonStrip(template.parsed);
  return {
    source,
    render: (messages, options = {}) =>
      guard(() => run(template, { ...standardVariables(messages, options, tokens), ...options.variables })),
  };
}

/**
 * What transformers' apply_chat_template hands to a template, but for strftime_now: with today's date a prompt would
 * change from day to day. Pass `strftime_now` or the template's own date variable among the variables instead.
 */
function standardVariables(
  messages: readonly ChatMessage[],
  options: { addGenerationPrompt?: boolean },
  tokens: SpecialTokenNames,
): Record<string, unknown> {
  return {
    messages: messages.map(({ role, content }) => ({ role, content })),
    tools: null,
    documents: null,
    add_generation_prompt: options.addGenerationPrompt ?? false,
    ...(tokens.bos !== undefined && { bos_token: tokens.bos }),
    ...(tokens.eos !== undefined && { eos_token: tokens.eos }),
    ...(tokens.pad !== undefined && { pad_token: tokens.pad }),
    ...(tokens.unk !== undefined && { unk_token: tokens.unk }),
  };
}

const CONSTANTS: readonly (readonly [string, boolean | null])[] = [
  ['true', true],
  ['false', false],
  ['none', null],
  ['True', true],
  ['False', false],
  ['None', null],
];

/** Renders with globals of our own: the library's cannot be replaced, and its range is not bounded. */
function run(template: Template, variables: Record<string, unknown>): string {
  const environment = new Environment();
  for (const [name, value] of CONSTANTS) environment.set(name, value);
  environment.set('raise_exception', (message: unknown) => {
    throw new Error(String(message));
  });
  environment.set('range', boundedRange);
  for (const [name, strip] of STRIP_FUNCTIONS) environment.set(name, strip);
  for (const [name, value] of Object.entries(variables)) environment.set(name, value);
  return String(new Interpreter(environment).run(template.parsed).value);
}

/** Python's range as a list. */
function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_RANGE)) throw new Error(`range of ${length} numbers exceeds ${MAX_RANGE}`);
  return Array.from({ length }, (_, i) => start + i * step);
}

function guarded<T>(where: string, work: () => T): T {
  const hint = 'Check the messages against what the template accepts, or replace the template.';
  try {
    return withTimeLimit(RENDER_LIMIT_MS, `${where}: the chat template`, hint, work);
  } catch (error) {
    if (error instanceof HoneError) throw error;
    const message = messageOf(error).replace(/[\x00-\x1f\x7f-\x9f]/g, ' ');
    throw new HoneError('input', `chat template: ${message.slice(0, 300)}`, { where, hint, cause: error });
  }
}
