/**
 * The snapshots of one node: complete ones, at most one that is being received, and those that are being written, which lie aside
 * under another name until they are complete and synced. A rename makes a snapshot; a crash before it leaves none.
 */

import type { SnapshotDirectory } from './directory.js';
import type { SnapshotFile, SnapshotId, SnapshotIdentity } from './identity.js';
import { parseSnapshotId, snapshotId } from './identity.js';
import type { Done, Outcome } from './outcome.js';
import { SnapshotError, failure, success } from './outcome.js';

const COMPLETE = '.snap';
const ASIDE = '.part';
const INCOMING = '.incoming';

/** A file is synced every so many bytes, so that the log's own fsync never waits for a whole snapshot to reach the disk. */
export const SYNC_BYTES = 4 * 1024 * 1024;

/** A snapshot on its way to the disk. One call at a time; after a failure, `abandon` is all that is left. */
export interface SnapshotWriter {
  /** Bytes so far. */
  readonly bytes: number;
  append(data: Buffer, done: Done<undefined>): void;
  /** Syncs it and gives it its name. */
  finish(identity: SnapshotIdentity, done: Done<SnapshotFile>): void;
  /** Removes it. */
  abandon(done: Done<undefined>): void;
}

/** What is to be received. */
export interface IncomingOffer extends SnapshotIdentity {
  readonly totalBytes: number;
}

/** A transfer that has begun. It outlives restarts, so what it holds is to be checked before it is continued. */
export interface IncomingSnapshot extends Omit<SnapshotWriter, 'finish'> {
  readonly offer: IncomingOffer;
  read(offset: number, bytes: number, done: Done<Buffer>): void;
  truncate(bytes: number, done: Done<undefined>): void;
  finish(done: Done<SnapshotFile>): void;
}

export interface SnapshotStore {
  /** Complete ones, oldest first. */
  list(): readonly SnapshotFile[];
  create(): SnapshotWriter;
  read(id: SnapshotId, offset: number, bytes: number, done: Done<Buffer>): void;
  /** It is not there any more, at once; while it is pinned it can still be read, and its file goes with the last pin. Fails for one that is not there. */
  remove(id: SnapshotId, done: Done<undefined>): void;
  /** Its file stays until the result is called, as often as it was pinned. Undefined when it is not there. */
  pin(id: SnapshotId): (() => void) | undefined;
  isPinned(id: SnapshotId): boolean;
  /** The one transfer that has begun and is not complete. */
  incoming(): IncomingSnapshot | undefined;
  /** Begins one. There must be none. */
  beginIncoming(offer: IncomingOffer): IncomingSnapshot;
  /** Ends after what is in flight; nothing may be called afterwards. */
  close(): Promise<void>;
}

/** Opens a store and removes what a crash has left: all that lies aside, and of several unfinished transfers all but the newest. */
export function openSnapshotStore(directory: SnapshotDirectory, done: Done<SnapshotStore>): void {
  directory.list((listed) => {
    if (!listed.ok) {
      done(listed);
      return;
    }
    const files = listed.value.flatMap(({ name, bytes }) => completeOf(name, bytes));
    const unfinished = listed.value.flatMap(({ name, bytes }) => incomingOf(name, bytes));
    unfinished.sort((a, b) => (a.name < b.name ? -1 : 1));
    const kept = unfinished.at(-1);
    const leftovers = listed.value
      .map(({ name }) => name)
      .filter((name) => name.endsWith(ASIDE) || (name.endsWith(INCOMING) && name !== kept?.name));
    removeAll(directory, leftovers, (removed) => {
      done(removed.ok ? success(snapshotStore(directory, files, kept)) : removed);
    });
  });
}

function completeOf(name: string, bytes: number): SnapshotFile[] {
  const id = name.slice(0, -COMPLETE.length);
  const identity = name.endsWith(COMPLETE) ? parseSnapshotId(id) : undefined;
  return identity === undefined ? [] : [{ id, bytes, ...identity }];
}

interface Unfinished {
  readonly name: string;
  readonly bytes: number;
  readonly offer: IncomingOffer;
}

function incomingName(offer: IncomingOffer): string {
  return `${snapshotId(offer)}.${offer.totalBytes}${INCOMING}`;
}

function incomingOf(name: string, bytes: number): Unfinished[] {
  const [id, total, ...rest] = name.split('.');
  const identity = parseSnapshotId(id ?? '');
  const totalBytes = /^\d{1,16}$/.test(total ?? '') ? Number(total) : Number.NaN;
  if (identity === undefined || !Number.isSafeInteger(totalBytes) || `.${rest.join('.')}` !== INCOMING)
    return [];
  return [{ name, bytes, offer: { ...identity, totalBytes } }];
}

function removeAll(directory: SnapshotDirectory, names: readonly string[], done: Done<undefined>): void {
  const [first, ...rest] = names;
  if (first === undefined) {
    done(success(undefined));
    return;
  }
  directory.remove(first, (removed) => {
    if (removed.ok) removeAll(directory, rest, done);
    else done(removed);
  });
}

function snapshotStore(
  directory: SnapshotDirectory,
  found: readonly SnapshotFile[],
  unfinished: Unfinished | undefined,
): SnapshotStore {
  const files = new Map(found.map((file) => [file.id, file]));
  const pins = new Map<SnapshotId, number>();
  /** Removed, and pinned still: what is to be done once they are not. */
  const doomed = new Map<SnapshotId, () => void>();
  let created = 0;
  let incoming: IncomingSnapshot | undefined;

  const add = (file: SnapshotFile): SnapshotFile => {
    files.set(file.id, file);
    // The same snapshot, made or received again, has taken the place of its file.
    doomed.delete(file.id);
    return file;
  };
  const receive = (name: string, bytes: number, offer: IncomingOffer): IncomingSnapshot => {
    const over = (): void => (incoming = undefined);
    incoming = incomingSnapshot(directory, { name, bytes, offer }, add, over);
    return incoming;
  };
  if (unfinished !== undefined) receive(unfinished.name, unfinished.bytes, unfinished.offer);

  return {
    list: () =>
      [...files.values()].sort((a, b) => a.position.index - b.position.index || (a.id < b.id ? -1 : 1)),
    create() {
      created += 1;
      return snapshotWriter(directory, `${created}${ASIDE}`, add);
    },
    read: (id, offset, bytes, done) => directory.read(id + COMPLETE, offset, bytes, done),
    remove(id, done) {
      if (!files.delete(id)) {
        // The directory answers later, as every callback has to come.
        directory.list(() => done(failure(new SnapshotError('io', `the snapshot ${id} is not there`))));
        return;
      }
      if (!pins.has(id)) {
        directory.remove(id + COMPLETE, done);
        return;
      }
      doomed.set(id, () => directory.remove(id + COMPLETE, () => undefined));
      directory.list(() => done(success(undefined)));
    },
    pin(id) {
      if (!files.has(id)) return undefined;
      pins.set(id, (pins.get(id) ?? 0) + 1);
      let pinned = true;
      return () => {
        const left = (pins.get(id) ?? 0) - (pinned ? 1 : 0);
        pinned = false;
        if (left > 0) {
          pins.set(id, left);
          return;
        }
        pins.delete(id);
        doomed.get(id)?.();
        doomed.delete(id);
      };
    },
    isPinned: (id) => pins.has(id),
    incoming: () => incoming,
    beginIncoming(offer) {
      if (incoming !== undefined) throw new Error('a snapshot is being received already');
      return receive(incomingName(offer), 0, offer);
    },
    close: () => directory.close(),
  };
}

/** Appends to one file, which it syncs as it grows. */
function appender(directory: SnapshotDirectory, name: string, initialBytes: number) {
  let bytes = initialBytes;
  let unsynced = 0;
  return {
    bytes: () => bytes,
    append(data: Buffer, done: Done<undefined>): void {
      directory.append(name, data, (appended) => {
        if (!appended.ok) {
          done(appended);
          return;
        }
        bytes += data.length;
        unsynced += data.length;
        if (unsynced < SYNC_BYTES) {
          done(appended);
          return;
        }
        unsynced = 0;
        directory.sync(name, done);
      });
    },
    truncate(to: number, done: Done<undefined>): void {
      directory.truncate(name, to, (outcome) => {
        if (outcome.ok) bytes = to;
        done(outcome);
      });
    },
    finish(identity: SnapshotIdentity, done: Done<SnapshotFile>): void {
      const id = snapshotId(identity);
      const { position, digest } = identity;
      const named: Done<undefined> = (outcome): void =>
        done(outcome.ok ? success({ id, bytes, position, digest }) : outcome);
      directory.sync(name, (synced: Outcome<undefined>) => {
        if (synced.ok) directory.rename(name, id + COMPLETE, named);
        else done(synced);
      });
    },
  };
}

type Add = (file: SnapshotFile) => SnapshotFile;

/** Counts a file among the complete ones before `done` is called. */
function adding(add: Add, done: Done<SnapshotFile>): Done<SnapshotFile> {
  return (outcome) => done(outcome.ok ? success(add(outcome.value)) : outcome);
}

function snapshotWriter(directory: SnapshotDirectory, name: string, add: Add): SnapshotWriter {
  const file = appender(directory, name, 0);
  return {
    get bytes() {
      return file.bytes();
    },
    append: (data, done) => file.append(data, done),
    finish: (identity, done) => file.finish(identity, adding(add, done)),
    abandon: (done) => directory.remove(name, done),
  };
}

function incomingSnapshot(
  directory: SnapshotDirectory,
  { name, bytes, offer }: Unfinished,
  add: Add,
  over: () => void,
): IncomingSnapshot {
  const file = appender(directory, name, bytes);
  return {
    offer,
    get bytes() {
      return file.bytes();
    },
    append: (data, done) => file.append(data, done),
    truncate: (to, done) => file.truncate(to, done),
    read: (offset, count, done) => directory.read(name, offset, count, done),
    finish: (done) =>
      file.finish(
        offer,
        adding((complete) => {
          over();
          return add(complete);
        }, done),
      ),
    abandon: (done) =>
      directory.remove(name, (removed) => {
        over();
        done(removed);
      }),
  };
}
