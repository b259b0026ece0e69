import { type Command, Option } from 'commander';
import { withChatModel } from '../chat-model.js';
import type { Io } from '../io.js';
import { engineOption, examples, numberIn, seedOption, wholeNumber, withCommonOptions } from '../options.js';
import { runServe, type ServeCommandOptions } from '../serve.js';

export function define(command: Command, io: Io): void {
  withChatModel(withCommonOptions(command))
    .description('Serves a model over the OpenAI API, with a method of thinking applied or without.')
    .option('--upstream <url>', 'an OpenAI-compatible server to stand before (same as --endpoint)')
    .option('--think <method>', 'think like this: multi-round:2, self-consistency:8, sift, ... (docs/thinking.md)')
    .option('--host <address>', 'where to listen; any but this machine needs --serve-key', '127.0.0.1')
    .addOption(new Option('--port <n>', '0: any free one').argParser(wholeNumber(0)).default(8080))
    .addOption(new Option('--serve-key <key>', 'key that clients must send').env('HONE_SERVE_KEY'))
    .addOption(new Option('--max-requests <n>', 'requests worked on at once').argParser(wholeNumber(1)).default(64))
    .addOption(new Option('--max-tokens <n>', 'longest answer of a call').argParser(wholeNumber(1)).default(32768))
    .addOption(new Option('--grace <s>', 'seconds a stop waits for answers').argParser(numberIn(0, 86400)).default(30))
    .addOption(engineOption())
    .addOption(seedOption())
    .action((options: ServeCommandOptions & { endpoint?: string }) => {
      const upstream = options.upstream ?? options.endpoint;
      return runServe({ ...options, ...(upstream === undefined ? {} : { upstream }) }, io);
    });
  examples(command, [
    'hone serve --model models/smollm2',
    'hone serve --upstream http://localhost:8000/v1 --model-name qwq-32b --think multi-round:2',
  ]);
}
