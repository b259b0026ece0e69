import { z } from 'zod';
import { HoneError } from '../core/index.js';
import { iterateJsonl } from '../formats/index.js';
import type { ChatMessage, TrainingChat } from '../model/index.js';
import type { SftExample } from './examples.js';

const message = z.looseObject({ role: z.enum(['system', 'user', 'assistant', 'tool']), content: z.string() });

/** `{"messages": [{"role", "content"}, ...]}` or `{"prompt", "response"}`; other fields are ignored. */
const chatRow = z
  .looseObject({
    messages: z.array(message).min(1).optional(),
    prompt: z.string().optional(),
    response: z.string().min(1).optional(),
  })
  .transform(({ messages, prompt, response }, context): ChatMessage[] => {
    if (messages) return messages.map(({ role, content }) => ({ role, content }));
    if (prompt !== undefined && response !== undefined)
      return [
        { role: 'user', content: prompt },
        { role: 'assistant', content: response },
      ];
    context.addIssue({ code: 'custom', message: 'needs either "messages", or "prompt" and "response"' });
    return z.NEVER;
  });

/**
 * The examples of a chat file, one JSON row a line: loss on assistant turns alone.
 * @param encode tokens and assistant mask of a conversation, e.g. encodeChatForTraining of a model folder.
 * @throws HoneError('input') at `file:line` for a row that is malformed or that the chat template refuses.
 */
export async function readChatExamples(
  file: string,
  encode: (messages: readonly ChatMessage[]) => TrainingChat,
): Promise<SftExample[]> {
  const examples: SftExample[] = [];
  for await (const { value, line } of iterateJsonl(file, chatRow)) {
    const where = `${file}:${line}`;
    const { tokens, assistantMask } = located(where, () => encode(value));
    examples.push({ tokens, mask: assistantMask, where });
  }
  if (examples.length === 0)
    throw new HoneError('input', 'has no rows', { where: file, hint: 'Give one {"messages": [...]} a line.' });
  return examples;
}

/** Names the row in an error about its content. */
function located<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof HoneError) || error.where?.startsWith(where)) throw error;
    throw new HoneError(error.kind, error.message, { where, hint: error.hint, cause: error });
  }
}
