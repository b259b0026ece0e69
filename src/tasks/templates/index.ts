import { dapo } from './dapo.js';
import { none, qwenMath, r1 } from './dr-grpo.js';
import { fastcurl } from './fastcurl.js';
import { orz } from './open-reasoner-zero.js';
import { rlspLlama, rlspQwen } from './rlsp.js';
import { still3Long, still3Short } from './still-3.js';
import type { PromptTemplate } from './types.js';

export type { PromptTemplate };

/** Published prompts by name: the option `template` of data-set tasks. */
export const PROMPT_TEMPLATES: ReadonlyMap<string, PromptTemplate> = new Map(
  [r1, qwenMath, none, dapo, orz, still3Short, still3Long, fastcurl, rlspLlama, rlspQwen].map((template) => [
    template.name,
    template,
  ]),
);
