import test from 'ava';
import type { EngineDatabase, Operation } from '../../persistence/engine.js';
import type { EngineProperties } from '../../persistence/engine-properties.js';
import { telling } from '../../persistence/engine-properties.js';
import { awaitEngineRest, isAtWork } from '../../persistence/engine-rest.js';
import { temporaryDirectory } from './directories.js';
import { anyEngine } from './engines.js';

const saying = (flushes: number, compactions: number): EngineProperties => ({
  database: 'state',
  values: { num_running_flushes: flushes, num_running_compactions: compactions },
});

test('it waits until the engine has been at rest for a while, in every database', (t) => {
  let pausedMs = 0;
  const properties = (): EngineProperties[] => [
    saying(pausedMs < 300 ? 1 : 0, 0),
    saying(0, pausedMs >= 350 && pausedMs < 400 ? 2 : 0),
  ];
  awaitEngineRest(properties, (ms) => (pausedMs += ms));
  t.is(pausedMs, 490);
});

test('it waits a while for one that says nothing, and not for ever for one that never rests', (t) => {
  let pausedMs = 0;
  awaitEngineRest(
    () => [{ database: 'log', values: {} }],
    (ms) => (pausedMs += ms),
  );
  t.is(pausedMs, 100);
  awaitEngineRest(
    () => [saying(1, 0)],
    (ms) => (pausedMs += ms),
  );
  t.is(pausedMs, 5100);
});

test('one that can not be asked just now is given a while, and does not stand in the way of the exit code', (t) => {
  let pausedMs = 0;
  awaitEngineRest(
    () => {
      throw new Error('a callback of the engine has not returned');
    },
    (ms) => (pausedMs += ms),
  );
  t.is(pausedMs, 100);
});

/** The names are RocksDB's; a typing error there would be silence. */
test('an engine that is filled says that it is at work', async (t) => {
  if (anyEngine.name !== 'rocksdb') {
    t.pass('it does not tell');
    return;
  }
  const { path: directory, remove } = await temporaryDirectory();
  const { engine, properties } = telling(anyEngine, directory);
  const options = { directory, compression: false, cacheBytes: 65_536, writeBufferBytes: 65_536 };
  const database: EngineDatabase = await engine.open(options);
  t.false(isAtWork(properties()));
  let seen = false;
  for (let at = 0; at < 5000 && !seen; at += 1) {
    const operations: Operation[] = Array.from({ length: 10 }, (_, i) => ({
      type: 'put',
      key: Buffer.from(`${at}.${i}`),
      value: Buffer.alloc(2000, i),
    }));
    await new Promise((resolve) => database.batch(operations, false, resolve));
    seen = isAtWork(properties());
  }
  t.true(seen);
  await database.close();
  t.deepEqual(properties(), []);
  await remove();
});
