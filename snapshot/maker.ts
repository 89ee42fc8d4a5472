/** From the state to a snapshot: streamed from one view, block by block, beside everything else that the node does. */

import type { StateRow, StateStore, StateView } from '../persistence/state-store.js';
import type { Codec } from './codec.js';
import { BLOCK_BYTES, encodeRows, snapshotEncoder } from './format.js';
import type { SnapshotEncoder, SnapshotHeader } from './format.js';
import type { SnapshotFile } from './identity.js';
import type { Done, Outcome } from './outcome.js';
import { SnapshotError, failure } from './outcome.js';
import type { SnapshotStore, SnapshotWriter } from './store.js';

export interface MakeOptions {
  readonly state: Pick<StateStore, 'openView'>;
  readonly store: Pick<SnapshotStore, 'create'>;
  readonly codec: Codec;
  readonly clusterId: string;
  readonly nodeId: string;
  /** By the wall clock, for people. */
  readonly createdAtMs: number;
  /** Called behind each block, goes on with the next one; absent: without a rest. */
  readonly rest?: Rest;
  /** After each block. */
  readonly progress?: (progress: { readonly rows: number; readonly fileBytes: number }) => void;
}

export interface Making {
  /** The state is about to be closed, and its views with it: nothing is asked of them from now on. It ends soon, and its file is removed. */
  cancel(): void;
}

/** What is in memory at a time is one block, or one row that is longer. A failure leaves nothing behind and harms nothing. */
export function makeSnapshot(options: MakeOptions, done: Done<SnapshotFile>): Making {
  let cancelled = false;
  const { rest, goOn } = interruptible(options.rest ?? ((next) => next()));
  options.state.openView((view) => {
    const writer = options.store.create();
    const end: Done<SnapshotFile> = (outcome) => {
      const closed = (): void => {
        if (outcome.ok) done(outcome);
        // Whether its remains could be removed as well is of no interest beside the first failure.
        else writer.abandon(() => done(outcome));
      };
      if (cancelled) closed();
      else view.close(closed);
    };
    write({ options, view, writer, rest, cancelled: () => cancelled }, end);
  });
  return {
    cancel() {
      cancelled = true;
      goOn();
    },
  };
}

type Rest = (next: () => void) => void;

/** `goOn` ends a rest before its time: what is cancelled must not come back to a store that has been closed. */
function interruptible(rest: Rest): { readonly rest: Rest; readonly goOn: () => void } {
  let waiting: (() => void) | undefined;
  const goOn = (): void => {
    const next = waiting;
    waiting = undefined;
    next?.();
  };
  return {
    goOn,
    rest(next) {
      waiting = next;
      rest(() => {
        if (waiting === next) goOn();
      });
    },
  };
}

interface Work {
  readonly options: MakeOptions;
  readonly view: StateView;
  readonly writer: SnapshotWriter;
  readonly rest: Rest;
  readonly cancelled: () => boolean;
}

function write(work: Work, end: Done<SnapshotFile>): void {
  const { options, view, writer } = work;
  const encoder = snapshotEncoder();
  const { clusterId, nodeId, createdAtMs, codec } = options;
  const header: SnapshotHeader = { clusterId, nodeId, createdAtMs, applied: view.applied, codec: codec.id };
  let rowsWritten = 0;

  const next = (written: Outcome<undefined>): void => {
    if (!written.ok) end(written);
    else if (work.cancelled()) end(failure(new SnapshotError('cancelled', 'the snapshot was cancelled')));
    else {
      options.progress?.({ rows: rowsWritten, fileBytes: writer.bytes });
      view.next(BLOCK_BYTES, (rows) => {
        rowsWritten += rows.length;
        if (rows.length === 0) finish(work, encoder, end);
        else writeBlock(work, encoder, rows, next);
      });
    }
  };
  writer.append(encoder.header(header), next);
}

function writeBlock(
  { options, writer, rest }: Work,
  encoder: SnapshotEncoder,
  rows: readonly StateRow[],
  done: Done<undefined>,
): void {
  const { raw, ...totals } = encodeRows(rows);
  options.codec.compress(raw, (compressed) =>
    writer.append(encoder.block(raw, totals, compressed), (written) => rest(() => done(written))),
  );
}

function finish({ view, writer }: Work, encoder: SnapshotEncoder, end: Done<SnapshotFile>): void {
  const { data, digest } = encoder.footer();
  const { index, term } = view.applied;
  writer.append(data, (written) => {
    if (written.ok) writer.finish({ position: { index, term }, digest }, end);
    else end(written);
  });
}
