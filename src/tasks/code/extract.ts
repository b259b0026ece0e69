export interface ExtractedProgram {
  code: string;
  /** `block`: a fenced block of the reply; `whole`: a bare reply that is a program; `completion`: one that goes on from the prompt. */
  from: 'block' | 'whole' | 'completion';
}

/** What ends a completion of a function (Chen et al. 2021, section 2.1: the stop sequences of HumanEval). */
const STOPS = ['\nclass ', '\ndef ', '\n#', '\nif ', '\nprint(', '\n```', '\nassert ', '\n@'];

const FENCE = /^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n([\s\S]*?)(?:^[ \t]*\1[ \t]*$|(?![\s\S]))/gm;
const PYTHON = ['python', 'py', 'python3'];

/** What stands after the thought; a thought that was never closed leaves nothing. */
function afterThought(reply: string): string {
  const end = reply.lastIndexOf('</think>');
  if (end >= 0) return reply.slice(end + '</think>'.length);
  return /^\s*<think>/.test(reply) ? '' : reply;
}

/** The last block marked as Python; where none is marked, the last block without a language. */
function lastBlock(reply: string): string | undefined {
  const blocks = [...reply.matchAll(FENCE)].map(([, , language = '', code = '']) => ({
    language: language.toLowerCase(),
    code,
  }));
  const marked = blocks.filter(({ language }) => PYTHON.includes(language));
  return (marked.at(-1) ?? blocks.filter(({ language }) => language === '').at(-1))?.code;
}

function untilStop(text: string): string {
  const ends = STOPS.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends));
}

const defines = (code: string, name: string): boolean =>
  new RegExp(`^(?:async[ \\t]+)?def[ \\t]+${name}\\b|^${name}[ \\t]*=|^class[ \\t]+Solution\\b`, 'm').test(code);

/**
 * The program in a reply. With a `stub` (the head of a function with its text, as HumanEval gives it), the program starts
 * with the stub, whose imports and helpers it may use, and a reply without a block may be what follows the stub.
 * @returns undefined when the reply holds no program.
 */
export function extractProgram(reply: string, stub?: { text: string; entry: string }): ExtractedProgram | undefined {
  const text = afterThought(reply);
  const block = lastBlock(text);
  const code = block ?? text;
  if (code.trim() === '') return undefined;
  if (!stub) return { code, from: block === undefined ? 'whole' : 'block' };
  if (defines(code, stub.entry))
    return { code: `${stub.text}\n\n${code}`, from: block === undefined ? 'whole' : 'block' };
  if (block !== undefined) return { code: `${stub.text}${indented(block)}`, from: 'block' };
  return { code: `${stub.text}${untilStop(text)}`, from: 'completion' };
}

/** A block that holds the body alone, with its indentation or without. */
function indented(block: string): string {
  return /^[ \t]/.test(block) ? block : block.replace(/^(?=.)/gm, '    ');
}
