/** A state that is damaged is set aside, also when only a read has found it. */

import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { StorageError } from '../../persistence/errors.js';
import { rowKey } from '../../persistence/keys.js';
import { markState } from '../../persistence/state-mark.js';
import { removeSetAside } from '../../persistence/sound-state.js';
import { appliedAt, valuesOf, written } from '../contracts/state-store.js';
import { temporaryDirectory } from './directories.js';
import { onEachEngine } from './engines.js';
import { closed, openOn } from './filled.js';

onEachEngine(test, (engine) => {
  test(`${engine.name}: a row that a read finds damaged ends the store, and the next start begins without it`, async (t) => {
    const { path: dataDir, remove } = await temporaryDirectory();
    t.teardown(remove);
    const first = await openOn(dataDir, engine.name);
    const puts = ['a', 'b'].map((key): [string, Buffer] => [key, Buffer.from(`${key}1`)]);
    await written(first.state, { applied: appliedAt(1), puts, deletes: [] });
    await closed(first);
    const directory = path.join(dataDir, 'state', '000001');
    const raw = await engine.open({
      directory,
      compression: true,
      cacheBytes: 1 << 20,
      writeBufferBytes: 1 << 20,
    });
    await new Promise((done) =>
      raw.batch([{ type: 'put', key: rowKey('a'), value: Buffer.from('no record') }], true, done),
    );
    await raw.close();

    const errors: StorageError[] = [];
    let report: () => void = () => undefined;
    const failed = new Promise<void>((resolve) => (report = resolve));
    const second = await openOn(dataDir, engine.name, (error) => {
      errors.push(error);
      report();
    });
    t.is(second.stateRemoved, undefined);
    t.deepEqual((await valuesOf(second.state, ['b'])).map(String), ['b1']);
    second.state.getMany(['a'], () => t.fail('a damaged row was given out'));
    await failed;
    t.like(errors[0], { fault: 'damaged', part: 'state' });
    await closed(second);
    t.true(existsSync(path.join(dataDir, 'state.unusable')));

    const third = await openOn(dataDir, engine.name);
    t.regex(third.stateRemoved ?? '', /the row 61/);
    t.is(third.state.recovered.index, 0);
    t.true(existsSync(path.join(dataDir, 'state.damaged', '000001')));
    await closed(third);
    await removeSetAside(dataDir);
    const fourth = await openOn(dataDir, engine.name);
    t.is(fourth.stateRemoved, undefined);
    t.false(existsSync(path.join(dataDir, 'state.damaged')));
    await closed(fourth);
  });
});

test('a state about which only an operator can decide is refused, and stays as it is', async (t) => {
  const { path: dataDir, remove } = await temporaryDirectory();
  t.teardown(remove);
  markState(dataDir, { kind: 'disputed', what: 'the states of the nodes differ' });
  const mark = path.join(dataDir, 'state.unusable');
  const before = readFileSync(mark);
  await t.throwsAsync(openOn(dataDir, 'classic-level'), {
    message: /the states of the nodes differ: choose/,
  });
  t.deepEqual(readFileSync(mark), before);
});
