/** Whether a log is what its node remembers of it. */

import type { HardState, Position } from '../raft/entry.js';
import type { RecoveredLog } from './log-store.js';
import type { Mark, RecoveredMark } from './watermark.js';
import { FIRST_MARK, endsBefore } from './watermark.js';

/**
 * - `whole`: the log holds everything that the node promised, but for at most the last `MARK_LAG_MS_MAX`.
 * - `damaged`: it does not. The node must not campaign, and may vote only for a candidate whose last entry is at or above
 *   `mark.last`, until its own is, too. With `mark` undefined nobody knows what it promised: it is as good as a wiped disk.
 *   `what` says for people what is missing.
 */
export type Assessment =
  | { readonly kind: 'whole' }
  | { readonly kind: 'damaged'; readonly what: string; readonly mark: Mark | undefined };

export function assess(log: RecoveredLog, recovered: RecoveredMark): Assessment {
  switch (recovered.kind) {
    case 'none':
      if (isEmpty(log)) return { kind: 'whole' };
      return {
        kind: 'damaged',
        what: 'the watermark is missing, so that nobody knows whether the log has lost its end',
        mark: undefined,
      };
    case 'lost':
      return {
        kind: 'damaged',
        what: `${recovered.why}, so that nobody knows whether the log has lost its end`,
        mark: undefined,
      };
    case 'found': {
      const what = whatIsMissing(log, recovered.mark);
      return what === undefined ? { kind: 'whole' } : { kind: 'damaged', what, mark: recovered.mark };
    }
  }
}

/** The promises of log and mark together: a term or a vote never goes back. The commit index is the log's. */
export function laterPromise(log: RecoveredLog, recovered: RecoveredMark): HardState | undefined {
  const { hardState } = log;
  if (recovered.kind !== 'found' || !isBehind(hardState, recovered.mark)) return hardState;
  const { term, vote } = recovered.mark;
  return { term, vote, commit: hardState?.commit ?? log.base.index };
}

/** The last entry of a log, or the position before its first one. */
export function endOf({
  base,
  lastIndex,
  termRuns,
}: Pick<RecoveredLog, 'base' | 'lastIndex' | 'termRuns'>): Position {
  return { index: lastIndex, term: termRuns.at(-1)?.term ?? base.term };
}

function isEmpty(log: RecoveredLog): boolean {
  return log.hardState === undefined && log.lastIndex === 0;
}

function isBehind(hardState: HardState | undefined, mark: Mark): boolean {
  const { term, vote } = hardState ?? FIRST_MARK;
  return term < mark.term || (term === mark.term && mark.vote !== undefined && vote !== mark.vote);
}

function whatIsMissing(log: RecoveredLog, mark: Mark): string | undefined {
  const end = endOf(log);
  if (endsBefore(end, mark.last)) {
    return `the log ends with ${entryText(end)}, but ${entryText(mark.last)} was durable in it`;
  }
  if (!isBehind(log.hardState, mark)) return undefined;
  const { term, vote } = log.hardState ?? FIRST_MARK;
  return `the log knows of ${promiseText(term, vote)}, but the node promised ${promiseText(mark.term, mark.vote)}`;
}

function entryText({ index, term }: Position): string {
  return index === 0 ? 'no entry' : `entry ${index} of term ${term}`;
}

function promiseText(term: number, vote: string | undefined): string {
  return `term ${term} ${vote === undefined ? 'without a vote' : `with a vote for ${vote}`}`;
}
