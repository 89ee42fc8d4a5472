/** A log store whose end and promises the watermark follows, so that a log that is found to end before its mark has lost something. */

import type { HardState, Position } from '../raft/entry.js';
import { endOf } from './assess.js';
import type { LogStore, RecoveredLog } from './log-store.js';
import type { Mark, RecoveredMark, Watermark } from './watermark.js';
import { FIRST_MARK, endsBefore } from './watermark.js';

/**
 * `append` is done when the term and the vote in it are durable in the log and then in the watermark; only then may a message that
 * depends on them leave. Closing it closes both.
 *
 * Where the end of the log goes down, as it may when a leader replaces it (§5.3), the mark goes down before that is done. A crash
 * just between the two leaves a mark above a sound log: its node is then more careful than it need be, until its leader has sent more.
 *
 * A mark that is above the end of the log when it is opened stays where it is until the log reaches it: what is lost must not be forgotten
 * by the next restart.
 *
 * @param found the mark as it was found, if there was one
 * @param promised what the node has promised, if more than the log knows: see `laterPromise`
 */
export function markedLogStore(
  store: LogStore,
  recovered: RecoveredLog,
  promised: HardState | undefined,
  watermark: Watermark,
  found: RecoveredMark,
): LogStore {
  const end = endOf(recovered);
  /** Where the log ended before it lost its end. */
  let lost = found.kind === 'found' && endsBefore(end, found.mark.last) ? found.mark.last : undefined;
  let mark: Mark = { ...promiseOf(promised), last: lost ?? end };
  const lastOf = (position: Position): Position => {
    if (lost === undefined || !endsBefore(position, lost)) {
      lost = undefined;
      return position;
    }
    return lost;
  };

  const follow = (now: Mark, done: () => void): void => {
    const before = mark;
    mark = now;
    if (now.term !== before.term || now.vote !== before.vote || endsBefore(now.last, before.last)) {
      watermark.promise(now, done);
      return;
    }
    if (endsBefore(before.last, now.last)) watermark.advance(now.last);
    done();
  };
  return {
    ...store,
    append(batch, done) {
      const entry = batch.entries.at(-1);
      const last = entry === undefined ? mark.last : lastOf({ index: entry.index, term: entry.term });
      const promise = batch.hardState === undefined ? mark : promiseOf(batch.hardState);
      store.append(batch, () => follow({ term: promise.term, vote: promise.vote, last }, done));
    },
    reset(base, hardState, done) {
      const promise = hardState === undefined ? mark : promiseOf(hardState);
      const { index, term } = base;
      const now = { term: promise.term, vote: promise.vote, last: lastOf({ index, term }) };
      store.reset(base, hardState, () => follow(now, done));
    },
    async close() {
      await store.close();
      await watermark.close();
    },
  };
}

function promiseOf(hardState: HardState | undefined): Pick<Mark, 'term' | 'vote'> {
  const { term, vote } = hardState ?? FIRST_MARK;
  return { term, vote };
}
