/** What a store of snapshots must do on every directory. */

import type { TestFn } from 'ava';
import type { SnapshotDirectory } from '../../snapshot/directory.js';
import type { SnapshotFile, SnapshotIdentity } from '../../snapshot/identity.js';
import { snapshotId } from '../../snapshot/identity.js';
import type { Done, Outcome } from '../../snapshot/outcome.js';
import type { IncomingOffer, SnapshotStore, SnapshotWriter } from '../../snapshot/store.js';
import { SYNC_BYTES, openSnapshotStore } from '../../snapshot/store.js';

/** One place for snapshots, through any number of restarts. */
export interface DirectoryHarness {
  /** After the one before it was closed. */
  open(): Promise<SnapshotDirectory>;
  /** The names there. */
  names(): Promise<readonly string[]>;
  dispose(): Promise<void>;
}

export function outcomeOf<T>(operation: (done: Done<T>) => void): Promise<Outcome<T>> {
  return new Promise((resolve) => operation(resolve));
}

export async function valueOf<T>(operation: (done: Done<T>) => void): Promise<T> {
  const outcome = await outcomeOf(operation);
  if (!outcome.ok) throw outcome.error;
  return outcome.value;
}

export async function storeOn(directory: SnapshotDirectory): Promise<SnapshotStore> {
  return valueOf((done) => openSnapshotStore(directory, done));
}

export function offerOf(index: number, totalBytes: number, digit = 'a'): IncomingOffer {
  return { position: { index, term: 1 }, digest: digit.repeat(64), totalBytes };
}

export function finished(writer: SnapshotWriter, identity: SnapshotIdentity): Promise<SnapshotFile> {
  return valueOf((done: Done<SnapshotFile>) => writer.finish(identity, done));
}

function appended(writer: Pick<SnapshotWriter, 'append'>, text: string): Promise<undefined> {
  return valueOf((done) => writer.append(Buffer.from(text), done));
}

export function snapshotStoreContract(
  test: TestFn,
  name: string,
  makeHarness: () => Promise<DirectoryHarness>,
): void {
  const withHarness = async (body: (harness: DirectoryHarness) => Promise<void>): Promise<void> => {
    const harness = await makeHarness();
    try {
      await body(harness);
    } finally {
      await harness.dispose();
    }
  };

  test(`${name}: a finished snapshot is listed, read, and there after a restart`, (t) =>
    withHarness(async (harness) => {
      const first = await storeOn(await harness.open());
      t.deepEqual(first.list(), []);
      const identities = [
        { position: { index: 20, term: 3 }, digest: 'b'.repeat(64) },
        { position: { index: 7, term: 2 }, digest: 'a'.repeat(64) },
      ];
      for (const identity of identities) {
        const writer = first.create();
        await appended(writer, 'hello ');
        await appended(writer, 'world');
        t.is(writer.bytes, 11);
        const before = first.list().length;
        const file = await finished(writer, identity);
        t.deepEqual(file, { ...identity, id: snapshotId(identity), bytes: 11 });
        t.is(first.list().length, before + 1);
      }
      await first.close();
      const store = await storeOn(await harness.open());
      t.deepEqual(
        store.list().map(({ position, bytes }) => [position, bytes]),
        [
          [{ index: 7, term: 2 }, 11],
          [{ index: 20, term: 3 }, 11],
        ],
      );
      const [file] = store.list();
      const read = (offset: number, bytes: number): Promise<Buffer> =>
        valueOf((done) => store.read(file!.id, offset, bytes, done));
      t.is((await read(0, 100)).toString(), 'hello world');
      t.is((await read(6, 3)).toString(), 'wor');
      t.is((await read(11, 3)).length, 0);
      await store.close();
    }));

  test(`${name}: what is not finished is not there, and gone after a restart`, (t) =>
    withHarness(async (harness) => {
      const first = await storeOn(await harness.open());
      await appended(first.create(), 'unfinished');
      const abandoned = first.create();
      await appended(abandoned, 'abandoned');
      t.is((await harness.names()).length, 2);
      await valueOf((done: Done<undefined>) => abandoned.abandon(done));
      t.is((await harness.names()).length, 1);
      t.deepEqual(first.list(), []);
      await first.close();
      const store = await storeOn(await harness.open());
      t.deepEqual(store.list(), []);
      t.deepEqual(await harness.names(), []);
      await store.close();
    }));

  test(`${name}: a pinned snapshot can be read until its last pin is gone, removed or not`, (t) =>
    withHarness(async (harness) => {
      const store = await storeOn(await harness.open());
      t.is(store.pin('nothing'), undefined);
      const writer = store.create();
      await appended(writer, 'x');
      const { id } = await finished(writer, offerOf(1, 1));
      const first = store.pin(id)!;
      const second = store.pin(id)!;
      first();
      // Once is once.
      first();
      t.true(store.isPinned(id));
      await valueOf((done: Done<undefined>) => store.remove(id, done));
      t.deepEqual(store.list(), []);
      t.is(store.pin(id), undefined);
      t.is((await valueOf((done: Done<Buffer>) => store.read(id, 0, 1, done))).toString(), 'x');
      second();
      t.false(store.isPinned(id));
      t.false((await outcomeOf((done: Done<undefined>) => store.remove(id, done))).ok);
      // Closing waits for what is in flight.
      await store.close();
      t.deepEqual(await harness.names(), []);
    }));

  test(`${name}: what was removed while it was pinned, and made again, stays`, (t) =>
    withHarness(async (harness) => {
      const store = await storeOn(await harness.open());
      const make = async (): Promise<SnapshotFile> => {
        const writer = store.create();
        await appended(writer, 'x');
        return finished(writer, offerOf(1, 1));
      };
      const { id } = await make();
      const unpin = store.pin(id)!;
      await valueOf((done: Done<undefined>) => store.remove(id, done));
      t.is((await make()).id, id);
      unpin();
      t.is((await valueOf((done: Done<Buffer>) => store.read(id, 0, 1, done))).toString(), 'x');
      t.deepEqual((await harness.names()).length, 1);
      await store.close();
    }));

  test(`${name}: a transfer survives a restart, and becomes a snapshot`, (t) =>
    withHarness(async (harness) => {
      const first = await storeOn(await harness.open());
      t.is(first.incoming(), undefined);
      const offer = offerOf(5, 10);
      const begun = first.beginIncoming(offer);
      t.is(first.incoming(), begun);
      t.throws(() => first.beginIncoming(offerOf(6, 10)), { message: /already/ });
      await appended(begun, 'hello w');
      await first.close();
      const store = await storeOn(await harness.open());
      const incoming = store.incoming()!;
      t.deepEqual(incoming.offer, offer);
      t.is(incoming.bytes, 7);
      await valueOf((done: Done<undefined>) => incoming.truncate(5, done));
      t.is(incoming.bytes, 5);
      await appended(incoming, ' moon');
      t.is((await valueOf((done: Done<Buffer>) => incoming.read(2, 100, done))).toString(), 'llo moon');
      const file = await valueOf((done: Done<SnapshotFile>) => incoming.finish(done));
      t.deepEqual(store.list(), [file]);
      t.is(store.incoming(), undefined);
      const other = store.beginIncoming(offerOf(9, 3));
      await appended(other, 'x');
      await valueOf((done: Done<undefined>) => other.abandon(done));
      t.is(store.incoming(), undefined);
      t.is((await harness.names()).length, 1);
      await store.close();
    }));

  test(`${name}: of several unfinished transfers the newest is kept`, (t) =>
    withHarness(async (harness) => {
      const directory = await harness.open();
      for (const index of [3, 12, 5]) {
        const file = `${snapshotId(offerOf(index, 10))}.10.incoming`;
        await valueOf((done: Done<undefined>) => directory.append(file, Buffer.from('part'), done));
      }
      for (const odd of ['notes.txt', 'x.snap']) {
        await valueOf((done: Done<undefined>) => directory.append(odd, Buffer.from('?'), done));
      }
      const store = await storeOn(directory);
      t.is(store.incoming()?.offer.position.index, 12);
      // What is no snapshot is left alone.
      t.is((await harness.names()).length, 3);
      t.deepEqual(store.list(), []);
      await store.close();
    }));

  test(`${name}: long files, and failures as answers`, (t) =>
    withHarness(async (harness) => {
      const store = await storeOn(await harness.open());
      const writer = store.create();
      const piece = Buffer.alloc(SYNC_BYTES / 2 + 1, 7);
      for (let i = 0; i < 3; i += 1) await valueOf((done: Done<undefined>) => writer.append(piece, done));
      const { id, bytes } = await finished(writer, offerOf(1, 1));
      t.is(bytes, 3 * piece.length);
      t.deepEqual(
        await valueOf((done: Done<Buffer>) => store.read(id, piece.length, 10, done)),
        piece.subarray(0, 10),
      );
      let within = true;
      const reading = outcomeOf((done: Done<Buffer>) =>
        store.read('missing', 0, 1, (outcome) => {
          t.false(within);
          done(outcome);
        }),
      );
      within = false;
      const outcome = await reading;
      t.true(!outcome.ok && outcome.error.fault === 'io');
      await store.close();
    }));
}
