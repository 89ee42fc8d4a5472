/**
 * An exit takes a database from under the engine's threads; one that is just writing then ends the process with an abort in place of its exit code.
 * So a process that ends after a failure first waits until the engine says that nothing is going on.
 */

import type { EngineProperties } from './engine-properties.js';

/**
 * So long it must have said so: the operations that were asked for, of which it says nothing, are over by then, and a database that is sound may begin
 * the next flush right after the last one.
 */
const QUIET_MS = 100;
/** Work of a disk that answers no more never ends. */
const WAIT_MS_MAX = 5000;
const STEP_MS = 10;

/** Whether a thread of the engine writes a table file now. False for an engine that does not tell. */
export function isAtWork(databases: readonly EngineProperties[]): boolean {
  return databases.some(({ values }) => {
    const { num_running_flushes: flushes = 0, num_running_compactions: compactions = 0 } = values;
    return flushes + compactions > 0;
  });
}

/** @param pause for so many ms; nothing else may happen in them: after a failure nothing may be acknowledged. */
export function awaitEngineRest(
  properties: () => readonly EngineProperties[],
  pause: (ms: number) => void,
): void {
  let quietMs = 0;
  for (let waitedMs = 0; waitedMs < WAIT_MS_MAX && quietMs < QUIET_MS; waitedMs += STEP_MS) {
    pause(STEP_MS);
    quietMs = saysSo(properties) ? 0 : quietMs + STEP_MS;
  }
}

/** An engine out of whose callback the failure came can't be asked before that has returned, which it never does: then the pause alone must do. */
function saysSo(properties: () => readonly EngineProperties[]): boolean {
  try {
    return isAtWork(properties());
  } catch {
    return false;
  }
}
