import { HoneError, messageOf } from '../core/index.js';
import type { ChatTool, ChatTurn, ToolCall } from '../engine/chat/index.js';
import { opensThoughts } from '../engine/chat/index.js';
import { call, methodNode, thoughtOf, turnsOf } from './call.js';
import type { CallNode, Method, ThinkContext, Thought } from './types.js';

/** What a run of a program gave. */
export interface Execution {
  stdout: string;
  /** Last line of the traceback; undefined when the program ended well. */
  error?: string;
}

/**
 * Runs code that a model wrote. Such code is hostile: an executor has to be a sandbox, with limits on time, memory and
 * what can be reached. `pythonExecutor` makes one of hone's own sandbox (hone/tasks).
 */
export interface CodeExecutor {
  readonly name: string;
  run(code: string, options: { signal?: AbortSignal }): Promise<Execution>;
}

export interface CodeToolOptions {
  executor: CodeExecutor;
  /** Runs of code for one answer. Default 3, the most of the paper's data. */
  maxRuns?: number;
  /** Characters of output that are shown to the model; the rest is cut and said to be. Default 2000. */
  maxOutput?: number;
}

const OPEN = '```python';
const CLOSE = '```\n\n';

/**
 * Code as a tool in the middle of thinking (STILL-3, arXiv 2503.04548, section 4.4; STILL-3-TOOL/run_eval_tool.py):
 * generation stops behind a code block, the block is run, its output is put in as an `Output` block, and the model goes
 * on from there. After `maxRuns` runs it goes on without stopping.
 */
export function codeTool({ executor, maxRuns = 3, maxOutput = 2000 }: CodeToolOptions): Method {
  return {
    name: 'code-tool',
    needs: ['continueAssistant'],
    settings: { executor: executor.name, maxRuns, maxOutput },
    run: async (question, context) => {
      const turns = turnsOf(question);
      const children: CallNode[] = [];
      const runs: { code: string; output: string }[] = [];
      let text = '';
      let left = context.sampling.maxTokens ?? Infinity;
      for (;;) {
        const mayRun = runs.length < maxRuns;
        const node = await goOn(context, turns, text, left, mayRun, children.length);
        children.push(node);
        text += node.raw;
        left -= node.completionTokens;
        const code = mayRun && node.finish === 'stop' ? openBlock(text) : undefined;
        if (code === undefined || left < 1) {
          const thought = await settled(text, node, context);
          return { ...thought, transcript: methodNode('code-tool', children, { runs }) };
        }
        const output = shorten(await runCode(executor, code, context.signal), maxOutput);
        runs.push({ code, output });
        text += `${CLOSE}\`\`\`Output\n${output}\`\`\`\n\n`;
      }
    },
  };
}

function goOn(
  context: ThinkContext,
  turns: readonly ChatTurn[],
  text: string,
  left: number,
  mayRun: boolean,
  number: number,
): Promise<CallNode> {
  const stop = [...(context.stop ?? []), ...(mayRun ? [CLOSE] : [])];
  const begun = text !== '';
  const messages = begun ? [...turns, { role: 'assistant' as const, content: text }] : turns;
  return call(context, number === 0 ? 'begin' : `after run ${number}`, {
    ...{ messages, stop },
    ...(begun ? { continueAssistant: true } : {}),
    ...(Number.isFinite(left) ? { maxTokens: left } : {}),
  });
}

/** The code of a block that is still open at the end of the text: there generation was stopped at its closing fence. */
function openBlock(text: string): string | undefined {
  const start = text.lastIndexOf(OPEN);
  if (start < 0) return undefined;
  const code = text.slice(start + OPEN.length);
  return code.includes('```') ? undefined : code.replace(/^\n/, '');
}

async function runCode(executor: CodeExecutor, code: string, signal: AbortSignal | undefined): Promise<string> {
  const { stdout, error } = await executor.run(code, signal ? { signal } : {});
  const said = error === undefined ? stdout : error;
  return said === '' || said.endsWith('\n') ? said : `${said}\n`;
}

function shorten(output: string, limit: number): string {
  return output.length <= limit ? output : `${output.slice(0, limit)}... (${output.length - limit} characters cut)\n`;
}

/** The whole text is one turn, however many calls it took. */
async function settled(text: string, last: CallNode, context: ThinkContext): Promise<Omit<Thought, 'transcript'>> {
  const close = text.lastIndexOf('</think>');
  const thinking = close < 0 && (opensThoughts(text) || last.content === undefined);
  const content = thinking ? undefined : close < 0 ? text : text.slice(close + '</think>'.length).trim();
  const answer = content === undefined ? undefined : await context.answers.extract(content);
  return { text: content, answer, finish: last.finish, reasoned: close >= 0 };
}

/** Knows the answers to some programs, and nothing else: for tests and demonstrations. */
export function scriptedExecutor(outputs: Readonly<Record<string, Execution | string>>): CodeExecutor {
  return {
    name: 'scripted',
    run: (code) => {
      const known = outputs[code.trim()];
      if (known === undefined) return Promise.resolve({ stdout: '', error: 'RuntimeError: not in the script' });
      return Promise.resolve(typeof known === 'string' ? { stdout: known } : known);
    },
  };
}

/** A function that the model may call, with what it does. */
export interface FunctionTool extends ChatTool {
  /** @param given the arguments, parsed from JSON but otherwise as the model wrote them: check them. */
  run(given: unknown, options: { signal?: AbortSignal }): string | Promise<string>;
}

export interface FunctionToolOptions {
  tools: readonly FunctionTool[];
  /** Turns with calls in one answer. Default 8. */
  maxTurns?: number;
}

/**
 * Function calling of the chat API: calls are answered by tool turns until the model answers without one. What a tool
 * throws is told to the model. After `maxTurns` the tools are taken away.
 */
export function functionTools({ tools, maxTurns = 8 }: FunctionToolOptions): Method {
  if (tools.length === 0) throw new HoneError('usage', 'there is no tool to call', { where: 'tools' });
  const offered: ChatTool[] = tools.map(({ name, description, parameters }) => ({
    ...{ name, parameters },
    ...(description === undefined ? {} : { description }),
  }));
  return {
    name: 'function-tools',
    needs: ['tools'],
    settings: { tools: offered.map(({ name }) => name), maxTurns },
    run: async (question, context) => {
      const turns: ChatTurn[] = turnsOf(question);
      const children: CallNode[] = [];
      for (let turn = 0; ; turn++) {
        const may = turn < maxTurns ? { tools: offered } : {};
        const node = await call(context, `turn ${turn + 1}`, { messages: [...turns], ...may });
        children.push(node);
        if (!node.toolCalls || turn >= maxTurns) {
          const notes = { turnsWithCalls: turn };
          return { ...(await thoughtOf(node, context)), transcript: methodNode('function-tools', children, notes) };
        }
        turns.push({ role: 'assistant', content: node.content ?? '', toolCalls: node.toolCalls });
        for (const asked of node.toolCalls)
          turns.push({ role: 'tool', toolCallId: asked.id, content: await answerCall(tools, asked, context.signal) });
      }
    },
  };
}

async function answerCall(
  tools: readonly FunctionTool[],
  asked: ToolCall,
  signal: AbortSignal | undefined,
): Promise<string> {
  const tool = tools.find(({ name }) => name === asked.name);
  if (!tool) return `error: there is no function ${asked.name}`;
  try {
    return await tool.run(JSON.parse(asked.arguments === '' ? '{}' : asked.arguments), signal ? { signal } : {});
  } catch (error) {
    if (signal?.aborted) throw error;
    return `error: ${messageOf(error)}`;
  }
}
