#!/usr/bin/env node
import { HoneError } from '../core/index.js';
import { processIo } from './io.js';
import { runProgram } from './program.js';
import { reportError } from './report-error.js';

const args = process.argv.slice(2);
const ownOptions = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
const json = ownOptions.includes('--json');
const debug = ownOptions.includes('--debug');

// `hone ... | head` closes the pipe: there is nobody left to print to, which is no error.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

const controller = new AbortController();
const io = processIo({ json, signal: controller.signal });

/** The first signal asks the work to stop at a clean point, the second ends the process. */
function stop(): void {
  if (controller.signal.aborted) {
    io.progress.end(); // Gives the cursor back.
    process.exit(130);
  }
  io.progress.note('stopping at the next clean point; Ctrl-C again stops at once');
  controller.abort(new HoneError('interrupted', 'stopped on request'));
}
process.on('SIGINT', stop);
process.on('SIGTERM', stop);

try {
  await runProgram(args, io);
} catch (thrown) {
  const report = reportError(thrown, { debug });
  process.exitCode = report.exitCode;
  io.progress.end();
  process.stderr.write(`${report.text}\n`);
  if (json) process.stdout.write(`${JSON.stringify(report.json)}\n`);
} finally {
  io.progress.end();
  process.off('SIGINT', stop);
  process.off('SIGTERM', stop);
}
