#!/usr/bin/env node
/** `kv`: the command line of quorumkv. */

import { EXIT } from './context.js';
import { printable } from './output.js';
import { createProgram } from './program.js';

/** As a shell reports a process that this signal ended. */
const SIGNAL_EXIT = Object.freeze({ SIGINT: 130, SIGTERM: 143, SIGPIPE: 141 });

const stop = new AbortController();
let exitCode: number = EXIT.done;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The first one ends the command in order, the second one at once.
    if (stop.signal.aborted) process.exit(SIGNAL_EXIT[signal]);
    exitCode = SIGNAL_EXIT[signal];
    stop.abort();
  });
}

// The reader of our output has gone (`kv export | head`): there is nobody left to tell.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? SIGNAL_EXIT.SIGPIPE : EXIT.error);
  });
}

const program = createProgram(stop.signal, (code) => {
  if (!stop.signal.aborted) exitCode = code;
});

try {
  await program.parseAsync();
} catch (error) {
  if (!stop.signal.aborted) {
    exitCode = EXIT.error;
    process.stderr.write(`kv: ${printable(error instanceof Error ? error.message : String(error))}\n`);
  }
}

// Standard input may still be open, and would keep the process alive.
process.stdout.write('', () => process.exit(exitCode));
