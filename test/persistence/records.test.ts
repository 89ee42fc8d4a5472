/** What is sealed checks, however its parts lie in memory. */

import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { seal, unseal } from '../../persistence/records.js';
import { openDiskLogStore } from '../../persistence/disk/log-store.js';
import { appended, hardState } from '../contracts/log-store.js';
import { temporaryDirectory, unexpected } from './directories.js';
import { onEachEngine } from './engines.js';

const KEY = Buffer.from('key');

/** Nothing, in every way: some of these have no memory at all, of which `crc32` says 0 in place of the sum so far. */
const EMPTY: Readonly<Record<string, () => Uint8Array>> = {
  fresh: () => new Uint8Array(0),
  'of an empty ArrayBuffer': () => new Uint8Array(new ArrayBuffer(0)),
  'one whose ArrayBuffer was asked for': () => {
    const empty = new Uint8Array(0);
    return empty.buffer.byteLength === 0 ? empty : Buffer.alloc(1);
  },
  cloned: () => structuredClone(new Uint8Array(0)),
  'a Buffer': () => Buffer.alloc(0),
  'a view': () => Buffer.alloc(8).subarray(8),
};

for (const [name, empty] of Object.entries(EMPTY)) {
  test(`an empty part, ${name}, is sealed like no part`, (t) => {
    const header = Buffer.from('header');
    t.deepEqual(seal(KEY, header, empty()), seal(KEY, header));
    t.deepEqual(seal(KEY, empty(), header), seal(KEY, header));
    t.deepEqual(seal(KEY, empty()), seal(KEY));
    t.is(unseal('it', KEY, seal(KEY, header, empty())).toString(), 'header');
    t.is(unseal('it', KEY, seal(KEY, empty())).length, 0);
    t.is(unseal('it', empty(), seal(empty(), header)).toString(), 'header');
  });
}

/** Written down here once more, since what lies on disks was sealed by it. */
test('property: the checksum is over the length of the key, the key and the body, in however many parts', (t) => {
  const bytes = fc.uint8Array({ maxLength: 30 });
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 12 }),
      fc.array(bytes, { maxLength: 5 }),
      (key, parts) => {
        const body = Buffer.concat(parts);
        const record = seal(key, ...parts);
        const sum = crc32(Buffer.concat([key, body]), key.length);
        t.is(record.readUInt32BE(0), sum);
        t.deepEqual(unseal('it', key, record), body);
      },
    ),
  );
});

onEachEngine(test, (engine) => {
  test(`${engine.name}: an entry without data, as a new leader writes it, is found again`, async (t) => {
    for (const [name, empty] of Object.entries(EMPTY)) {
      const { path: directory, remove } = await temporaryDirectory();
      const open = (): ReturnType<typeof openDiskLogStore> =>
        openDiskLogStore({ engine, directory, tailBytesMax: 1000, fatal: unexpected });
      const first = await open();
      const entries = [{ index: 1, term: 1, type: 'noop' as const, data: empty() }];
      await appended(first.store, { entries, hardState: hardState(1, 'node1') });
      await first.store.close();
      const { store, recovered } = await open();
      t.is(recovered.lastIndex, 1, name);
      await store.close();
      await remove();
    }
  });
});
