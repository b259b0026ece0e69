#!/usr/bin/env node
import { HoneError } from '../core/index.js';
import { type Io, processIo } from './io.js';
import { runProgram } from './program.js';
import { reportError } from './report-error.js';
import { Stopper, stopSeconds } from './stop.js';

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

let io: Io | undefined;

function fail(thrown: unknown): void {
  const report = reportError(thrown, { debug });
  process.exitCode = report.exitCode;
  io?.progress.end(); // Gives the cursor back.
  process.stderr.write(`${report.text}\n`);
  if (json) process.stdout.write(`${JSON.stringify(report.json)}\n`);
}

/** Nothing is left to run while the command still waits: a promise that never settles. Node would end without a word. */
function abandoned(): void {
  fail(
    new HoneError('input', 'the command waits for something that never comes', {
      hint: 'A task of your own probably returns a promise that never settles: look at its grade function.',
    }),
  );
  process.exit();
}
process.once('beforeExit', abandoned);

let stopper: Stopper | undefined;
try {
  stopper = new Stopper(stopSeconds(), {
    note: (line) => io?.progress.note(line),
    end: (why) => {
      fail(why);
      process.exit();
    },
  });
  io = processIo({ json, signal: stopper.signal });
  stopper.listen();
  await runProgram(args, io);
} catch (thrown) {
  fail(thrown);
} finally {
  process.off('beforeExit', abandoned);
  io?.progress.end();
  stopper?.close();
}
