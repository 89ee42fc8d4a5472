/** A log store whose end and promises the watermark follows, so that a log that is found to end before its mark has lost something. */

import type { HardState } from '../raft/entry.js';
import { endOf } from './assess.js';
import type { LogStore, RecoveredLog } from './log-store.js';
import type { Mark, Watermark } from './watermark.js';
import { FIRST_MARK, endsBefore } from './watermark.js';

/**
 * `append` is done when the term and the vote in it are durable in the log and then in the watermark; only then may a message that
 * depends on them leave. Closing it closes both.
 *
 * Where the end of the log goes down, as it may when a leader replaces it (§5.3), the mark goes down before that is done. A crash
 * just between the two leaves a mark above a sound log: its node is then more careful than it need be, until its leader has sent more.
 *
 * @param promised what the node has promised, if more than the log knows: see `laterPromise`
 */
export function markedLogStore(
  store: LogStore,
  recovered: RecoveredLog,
  promised: HardState | undefined,
  watermark: Watermark,
): LogStore {
  let mark: Mark = { ...promiseOf(promised), last: endOf(recovered) };

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
      const last = entry === undefined ? mark.last : { index: entry.index, term: entry.term };
      const promise = batch.hardState === undefined ? mark : promiseOf(batch.hardState);
      store.append(batch, () => follow({ term: promise.term, vote: promise.vote, last }, done));
    },
    reset(base, hardState, done) {
      const promise = hardState === undefined ? mark : promiseOf(hardState);
      const { index, term } = base;
      const now = { term: promise.term, vote: promise.vote, last: { index, term } };
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
