/** Reads a snapshot from end to end, checking everything that can be checked, in bounded memory. */

import type { StateRow } from '../persistence/state-store.js';
import type { Codec } from './codec.js';
import type { Piece } from './decoder.js';
import { damagedAt, decodeRows, snapshotDecoder } from './decoder.js';
import type { SnapshotHeader, SnapshotTotals } from './format.js';
import type { SnapshotFile } from './identity.js';
import type { Done, Outcome } from './outcome.js';
import { SnapshotError, attempt, failure, success } from './outcome.js';
import type { SnapshotStore } from './store.js';

/** Read at a time. */
const READ_BYTES = 256 * 1024;

/** Where the bytes come from: a file of the store, or any other. */
export interface SnapshotSource {
  readonly bytes: number;
  read(offset: number, bytes: number, done: Done<Buffer>): void;
}

export interface SnapshotProgress {
  readonly rows: number;
  /** Of the file. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface SnapshotVisitor {
  /** Before any row. @throws SnapshotError to refuse it */
  header?(header: SnapshotHeader): void;
  /** The rows of a block, checked and in order; the next ones come once `done` is called. */
  rows?(rows: readonly StateRow[], done: () => void): void;
  progress?(progress: SnapshotProgress): void;
  /** Called behind each block, which goes on once `next` is called: whoever reads may leave time to others. */
  readonly rest?: (next: () => void) => void;
  /** Looked at before each block; true ends it with `cancelled`. */
  cancelled?(): boolean;
}

export interface ReadSnapshot {
  readonly header: SnapshotHeader;
  readonly totals: SnapshotTotals;
  readonly digest: string;
  readonly bytes: number;
}

/**
 * Visits all of a snapshot. When it is done without failure every checksum matched, the rows were in strict order, as many as the footer
 * says, and nothing is missing or added.
 */
export function readSnapshot(
  source: SnapshotSource,
  codec: Codec,
  visitor: SnapshotVisitor,
  done: Done<ReadSnapshot>,
): void {
  const { rest = (next: () => void): void => next() } = visitor;
  const decoder = snapshotDecoder();
  const order = rowOrder();
  let readTo = 0;
  let header: SnapshotHeader | undefined;

  const more = (): void => {
    const bytes = Math.min(READ_BYTES, source.bytes - readTo);
    if (bytes <= 0) {
      done(failure(damagedAt(readTo, 'its end is missing')));
      return;
    }
    source.read(readTo, bytes, (read) => {
      if (!read.ok) done(read);
      else if (read.value.length === 0) done(failure(damagedAt(readTo, 'its end is missing')));
      else {
        readTo += read.value.length;
        decoder.push(read.value);
        step();
      }
    });
  };
  const step = looped(() => {
    const found = attempt(() => decoder.next());
    if (!found.ok) done(found);
    else if (visitor.cancelled?.() === true)
      done(failure(new SnapshotError('cancelled', 'reading was cancelled')));
    else if (found.value === undefined) more();
    else take(found.value);
  });
  const take = (piece: Piece): void => {
    switch (piece.kind) {
      case 'header': {
        const checked = attempt(() => {
          checkCodec(piece.header, codec);
          visitor.header?.(piece.header);
        });
        header = piece.header;
        if (checked.ok) step();
        else done(checked);
        break;
      }
      case 'block':
        unpack(piece, codec, (raw) => takeBlock(piece.offset, raw));
        break;
      case 'end':
        if (readTo < source.bytes) done(failure(damagedAt(readTo, 'there is something behind its end')));
        else done(ended(piece, header, order, readTo));
        break;
    }
  };
  const takeBlock = (offset: number, raw: Outcome<Buffer>): void => {
    const rows = raw.ok ? attempt(() => order.take(decodeRows(raw.value, offset), offset)) : raw;
    if (!rows.ok) {
      done(rows);
      return;
    }
    visitor.progress?.({ rows: order.totals().rows, bytes: decoder.soundBytes, totalBytes: source.bytes });
    if (visitor.rows === undefined) rest(step);
    else visitor.rows(rows.value, () => rest(step));
  };
  more();
}

/** Calls from within itself are carried out after it instead: a file of a million tiny blocks must not become a stack of them. */
function looped(body: () => void): () => void {
  let running = false;
  let again = false;
  return () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      body();
    }
    running = false;
  };
}

function checkCodec(header: SnapshotHeader, codec: Codec): void {
  if (header.codec === 0 || header.codec === codec.id) return;
  throw new SnapshotError(
    'unsupported',
    `the snapshot is compressed by method ${header.codec}, which is not known here`,
  );
}

function unpack(
  { offset, data, compressed, rawBytes }: Piece & { readonly kind: 'block' },
  codec: Codec,
  done: Done<Buffer>,
): void {
  if (!compressed) {
    done(success(data));
    return;
  }
  codec.decompress(data, rawBytes, (raw) => {
    if (!raw.ok) done(failure(damagedAt(offset, raw.error.message, raw.error)));
    else if (raw.value.length !== rawBytes)
      done(failure(damagedAt(offset, 'a block unpacks to another length')));
    else done(raw);
  });
}

/** Every key once, in the order of the bytes; and how many. */
interface RowOrder {
  /** @throws SnapshotError */
  take(rows: readonly StateRow[], offset: number): readonly StateRow[];
  totals(): Omit<SnapshotTotals, 'blocks'>;
}

function rowOrder(): RowOrder {
  let previous: string | undefined;
  let rows = 0;
  let bytes = 0;
  return {
    take(taken, offset) {
      for (const [key, value] of taken) {
        if (previous !== undefined && previous >= key) {
          throw damagedAt(
            offset,
            `its rows are out of order at ${Buffer.from(key, 'latin1').toString('hex')}`,
          );
        }
        previous = key;
        rows += 1;
        bytes += key.length + value.length;
      }
      return taken;
    },
    totals: () => ({ rows, bytes }),
  };
}

function ended(
  { totals, digest }: Piece & { readonly kind: 'end' },
  header: SnapshotHeader | undefined,
  order: RowOrder,
  bytes: number,
): Outcome<ReadSnapshot> {
  const found = order.totals();
  if (header === undefined || found.rows !== totals.rows || found.bytes !== totals.bytes) {
    return failure(damagedAt(0, `it holds ${found.rows} rows, not ${totals.rows}`));
  }
  return success({ header, totals, digest, bytes });
}

/** The bytes of a complete snapshot. */
export function sourceOf(store: Pick<SnapshotStore, 'read'>, { id, bytes }: SnapshotFile): SnapshotSource {
  return { bytes, read: (offset, count, done) => store.read(id, offset, count, done) };
}
