import { afterAll } from 'vitest';
import { EndpointChatModel, SamplerChatModel } from '../../../src/engine/chat/index.js';
import type { Sample } from '../../../src/engine/index.js';
import { chatModelContract, type OpenChatModel } from '../../support/chat-contract.js';
import { startServer, type TestServer, type WireChoice, type WireRequest } from '../../support/openai-server.js';
import { characterTokenizer, textFolder, TextSampler, type Speaker } from '../../support/text-model.js';

const servers: TestServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.close())));

const folder = textFolder();
const render = (messages: Parameters<NonNullable<typeof folder.chatTemplate>['render']>[0]) =>
  folder.chatTemplate!.render(messages, { addGenerationPrompt: true });

const local: OpenChatModel = async (speak) =>
  new SamplerChatModel({ sampler: new TextSampler(speak), folder, name: 'local' });

interface Body {
  prompt?: string;
  messages?: { role: 'user' | 'assistant'; content: string }[];
  continue_final_message?: boolean;
  max_tokens?: number;
  n?: number;
  stop?: string[];
  seed?: number;
  logprobs?: boolean | number;
}

function promptOf({ prompt, messages = [], continue_final_message }: Body): string {
  if (prompt !== undefined) return prompt;
  return continue_final_message ? render(messages.slice(0, -1)) + messages.at(-1)!.content : render(messages);
}

function wireChoice(sample: Sample, { stop = [], logprobs }: Body, apart: boolean): WireChoice {
  const text = characterTokenizer.decode(sample.tokens);
  const cut = stop.map((string) => text.indexOf(string)).filter((at) => at >= 0);
  const content = cut.length > 0 ? text.slice(0, Math.min(...cut)) : text;
  const finish = sample.stopReason === 'length' ? 'length' : 'stop';
  const told = [...content].map((token) => ({ token, logprob: -0.5 }));
  const thought = apart ? /^<think>\n([\s\S]*?)(?:\n<\/think>\n\n([\s\S]*))?$/.exec(content) : null;
  const split = thought ? { reasoning: thought[1] ?? '', content: thought[2] ?? null } : { content };
  return { ...split, finish, ...(logprobs === undefined ? {} : { logprobs: told }) };
}

/** A server that speaks as the sampler does. `apart`: thoughts are sent as reasoning_content. */
async function serve(speak: Speaker, apart: boolean): Promise<TestServer> {
  const sampler = new TextSampler(speak);
  const server = await startServer({
    answer: async (request: WireRequest) => {
      const body = request.body as Body;
      const promptTokens = characterTokenizer.encode(promptOf(body));
      const { n = 1, max_tokens = 100, stop, seed = 0 } = body;
      const samples = await sampler.sample(promptTokens, { n, maxTokens: max_tokens, temperature: 1, stop, seed });
      return {
        choices: samples.map((sample) => wireChoice(sample, body, apart)),
        usage: [promptTokens.length, samples.reduce((sum, { tokens }) => sum + tokens.length, 0)],
      };
    },
  });
  servers.push(server);
  return server;
}

const endpoint =
  (options: { apart: boolean; stream: boolean; continueMode: 'vllm' | 'completions' }): OpenChatModel =>
  async (speak) => {
    const { url } = await serve(speak, options.apart);
    return new EndpointChatModel({ url, model: 'test', renderChat: render, ...options });
  };

chatModelContract('local sampler', local);
chatModelContract('endpoint, streaming', endpoint({ apart: false, stream: true, continueMode: 'vllm' }));
chatModelContract('endpoint, whole replies', endpoint({ apart: false, stream: false, continueMode: 'vllm' }));
chatModelContract('endpoint, thoughts apart', endpoint({ apart: true, stream: true, continueMode: 'completions' }));
