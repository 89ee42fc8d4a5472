/** The core's trace (`raft/trace.ts`) in a file. */

import { appendFileSync } from 'node:fs';
import type { Config } from '../configs/config.js';
import { ConfigError } from '../configs/problem.js';
import type { NodeId } from '../membership/configuration.js';
import type { Trace } from '../raft/trace.js';
import { traceLine } from '../raft/trace.js';

/**
 * Appends each event to `raft.traceFile`, as a line of its own, before the call that reports it returns; undefined when there is no such
 * file. Several nodes may share it: their lines then stand in an order in which things may have happened.
 *
 * @param places - the nodes in the order of the first configuration
 * @throws ConfigError when the file can't be written
 */
export function fileTrace({ source, raft }: Config, places: NodeId[]): Trace | undefined {
  const { traceFile } = raft;
  if (traceFile === '') return undefined;
  try {
    appendFileSync(traceFile, '');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError([
      `${source}: raft.traceFile: can't be written (${why}); give a file in an existing directory, or "" for none`,
    ]);
  }
  // One write a line, at the file's end: what several processes write does not mix.
  return (event) => appendFileSync(traceFile, `${traceLine(event, places)}\n`);
}
