/** A server that answers after `argv[2]` seconds; sends its address to the process that forked it. */
import { startServer } from '../tests/support/openai-server.js';

const latency = Number(process.argv[2] ?? 0) * 1000;
const server = await startServer({
  answer: async () => {
    if (latency > 0) await new Promise((resolve) => setTimeout(resolve, latency));
    return { choices: [{ content: 'The answer is 42.' }], usage: [10, 5] };
  },
});
// Requests are kept for tests; here they would only fill memory.
setInterval(() => server.requests.splice(0), 1000).unref();
process.send?.(server.url);
