import { RandomStream } from '../../src/core/index.js';
import type { ChatMessage } from '../../src/model/index.js';
import { variedStrings } from './strings.js';

/** One rendering to compare with transformers. */
export interface TemplateCase {
  template: string;
  messages: ChatMessage[];
  addGenerationPrompt: boolean;
  bos: string;
  eos: string;
  pad: string;
}

/**
 * Templates in the manners of the published families, one construct or more each. Two things that @huggingface/jinja
 * does otherwise than Jinja are left out, since no published template depends on them: it prints booleans as
 * true/false, and `length` counts UTF-16 units.
 */
const TEMPLATES: Record<string, string> = {
  chatml: `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`,
  defaultSystem: `{% if messages[0].role != 'system' %}<|sys|>You are kind.<|end|>
{% endif %}{%- for m in messages -%}
    <|{{ m.role }}|>{{ m.content | trim }}<|end|>
{% endfor %}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}`,
  headers: `{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{{- "<|header|>system<|/header|>\\n\\nToday: " + date_string + "\\n" + system_message + "<|eot|>" }}
{%- for message in messages %}
    {{- '<|header|>' + message['role'] + '<|/header|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|header|>assistant<|/header|>\\n\\n' }}{%- endif %}`,
  alternating: `{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}`,
  stripThinking: `{%- set ns = namespace(last=-1) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for m in messages -%}
{%- set content = m.content -%}
{%- if m.role == 'assistant' and loop.index0 < ns.last and '</think>' in content -%}
{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}
{%- endif -%}
<{{ m.role | upper }}>{{ content }}{{ eos_token }}
{%- endfor -%}
{%- if add_generation_prompt %}<ASSISTANT><think>
{% endif %}`,
  filters: `{% for m in messages %}{{ loop.index }}/{{ loop.length }}{% if loop.first %} first{% endif %}{% if loop.last %} last{% endif %} {{ m.role|title }}:{{ 'long' if m.content|length > 30 else 'short' }}:{{ m.content|replace('a', 'A')|trim }}:{% if m.content.strip().startswith('W') %}W{% endif %}:{{ m|tojson }}
{% endfor %}{{ messages|map(attribute='role')|join(',') }}{{ (messages|selectattr('role','equalto','user')|list)|length }}`,
  macros: `{% macro turn(role, text) %}[{{ role }}]{{ text }}[/{{ role }}]{% endmacro %}{% for m in messages %}{{ turn(m.role, m.content) }}{% endfor %}{{ 'tools' if tools else 'no tools' }}{% if tools is not none %}!{% endif %}{% if documents is defined %}?{% endif %}`,
  arithmetic: `{% for i in range(1, 8, 3) %}{{ i * 2 - 1 }},{{ i // 2 }},{{ i % 3 }};{% endfor %}{{ messages[-1]['content'][:3] }}{{ messages[::-1][0].role }}{% if none is none and 3 > 2 and not false %}{{ 7 | string + '!' }}{% endif %}`,
  strips: `{% for m in messages %}[{{ m.content.strip('\\n') }}|{{ m.content.lstrip(' \\n') }}|{{ m.content.rstrip('a. 😀') }}|{{ m.content.strip() }}|{{ m.content.lstrip(none) }}|{{ (m.content ~ ' ').rstrip() | trim }}]{% endfor %}`,
  comments: `{# a note #}
{% for m in messages %}
    {# another #}
    {% if m.role == 'system' %}
    S: {{ m.content }}
    {% else %}
    O: {{ m.content }}
    {% endif %}
{% endfor %}
{{ pad_token }}|{{ unknown_name }}|{{ messages[0].missing }}`,
};

const say = (role: ChatMessage['role'], content: string): ChatMessage => ({ role, content });

const CONVERSATIONS: ChatMessage[][] = [
  [say('user', 'What is 2+2?')],
  [
    say('system', '  Be brief.\n'),
    say('user', 'Why?\n\n'),
    say('assistant', '<think>\nhm\n</think>\n\nBecause.'),
    say('user', 'Ok'),
  ],
  [
    say('user', 'a'),
    say('assistant', ' b '),
    say('user', '{{ bos_token }}{% if x %}'),
    say('assistant', '<|im_end|>\n<|im_start|>'),
  ],
  [say('user', 'naïve 数学 😀 "quotes" \'single\' <b>&amp;</b> \\n back\\slash\ttab')],
  [say('assistant', 'I begin.'), say('user', '')],
  [say('user', '\ufeff \u001c\n white space \u0085\u2003\n'), say('assistant', '\u200b\t… 😀😀 a.')],
  [say('user', 'W'.repeat(300)), say('tool', '{"result": 4}'), say('assistant', 'Four.')],
];

/** A template with some conversations, with and without the generation prompt. */
function casesOf(template: string, conversations: readonly ChatMessage[][]): TemplateCase[] {
  const tokens = { bos: '<s>', eos: '</s>', pad: '<pad>' };
  return conversations.flatMap((messages) =>
    [false, true].map((addGenerationPrompt) => ({ template, messages, addGenerationPrompt, ...tokens })),
  );
}

/** The templates above with every conversation. */
export function templateCases(): TemplateCase[] {
  return Object.values(TEMPLATES).flatMap((template) => casesOf(template, CONVERSATIONS));
}

/** Chats that no template tells apart by accident: odd text, replies with thoughts, results of tools. */
function variedChats(seed: number, count: number): ChatMessage[][] {
  return Array.from({ length: count }, (_, i) => {
    const random = new RandomStream(seed, 'varied-chats', i);
    const texts = variedStrings(random.seed(0), 12);
    const next = (): string => texts.pop() ?? '';
    const reply = (): string => (random.next() < 0.4 ? `<think>\n${next()}\n</think>\n\n${next()}` : next());
    const turns = Array.from({ length: random.nextInt(1, 4) }, (): ChatMessage[] => [
      say('user', next()),
      say('assistant', reply()),
      ...(random.next() < 0.2 ? [say('tool', next()), say('assistant', reply())] : []),
    ]);
    const chat = [...(random.next() < 0.5 ? [say('system', next())] : []), ...turns.flat()];
    return random.next() < 0.5 ? chat : chat.slice(0, -1);
  });
}

export const VARIED_CHATS = { seed: 1, count: 60 };

/** Templates of real models with every conversation and the varied chats. */
export function realTemplateCases(templates: readonly string[]): TemplateCase[] {
  const chats = [...CONVERSATIONS, ...variedChats(VARIED_CHATS.seed, VARIED_CHATS.count)];
  return templates.flatMap((template) => casesOf(template, chats));
}
