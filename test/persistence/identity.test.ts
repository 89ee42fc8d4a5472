import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { StorageFault } from '../../persistence/errors.js';
import { StorageError } from '../../persistence/errors.js';
import { openIdentity, recordClusterId } from '../../persistence/identity.js';
import { inTemporaryDirectory } from './directories.js';

const NODE1 = { nodeId: 'node1', clusterName: 'demo', engine: 'rocksdb' } as const;

async function refused(
  t: ExecutionContext,
  opening: Promise<unknown>,
  fault: StorageFault,
  message: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(opening, { instanceOf: StorageError, message });
  t.is(error.fault, fault);
  t.notRegex(error.message, /\n/);
  t.regex(error.message, /identity\.json/);
}

test('a new directory gets an identity, and keeps it', (t) =>
  inTemporaryDirectory(async (parent) => {
    const dataDir = path.join(parent, 'data', 'node1');
    const made = await openIdentity(dataDir, NODE1);
    t.like(made, {
      nodeId: 'node1',
      clusterName: 'demo',
      clusterId: null,
      engine: 'rocksdb',
      formatVersion: 1,
    });
    t.regex(made.incarnation, /^[0-9a-f-]{36}$/);
    t.deepEqual(await openIdentity(dataDir, NODE1), made);
    t.deepEqual(await readdir(dataDir), ['identity.json']);
    const other = await openIdentity(path.join(parent, 'data', 'node2'), { ...NODE1, nodeId: 'node2' });
    t.not(other.incarnation, made.incarnation);
  }));

test('several that start at once agree', (t) =>
  inTemporaryDirectory(async (parent) => {
    const dataDir = path.join(parent, 'node1');
    const all = await Promise.all(Array.from({ length: 8 }, () => openIdentity(dataDir, NODE1)));
    t.is(new Set(all.map(({ incarnation }) => incarnation)).size, 1);
    t.deepEqual(await readdir(dataDir), ['identity.json']);
  }));

test('the id of the cluster is recorded once', (t) =>
  inTemporaryDirectory(async (dataDir) => {
    const made = await openIdentity(dataDir, NODE1);
    const recorded = await recordClusterId(dataDir, made, 'c-1');
    t.deepEqual(recorded, { ...made, clusterId: 'c-1' });
    t.deepEqual(await openIdentity(dataDir, NODE1), recorded);
    t.deepEqual(await recordClusterId(dataDir, recorded, 'c-1'), recorded);
    await refused(t, recordClusterId(dataDir, recorded, 'c-2'), 'unusable', /c-1, not c-2.*raft\.dataDir/);
    t.deepEqual(await readdir(dataDir), ['identity.json']);
  }));

test('the directory of another node or cluster is refused', (t) =>
  inTemporaryDirectory(async (dataDir) => {
    await openIdentity(dataDir, NODE1);
    const before = await readFile(path.join(dataDir, 'identity.json'), 'utf8');
    const node2 = openIdentity(dataDir, { ...NODE1, nodeId: 'node2' });
    await refused(t, node2, 'unusable', /the node node1, not node2: correct raft\.nodeID/);
    const prod = openIdentity(dataDir, { ...NODE1, clusterName: 'prod' });
    await refused(t, prod, 'unusable', /the cluster demo, not prod: correct cluster\.name/);
    t.is(await readFile(path.join(dataDir, 'identity.json'), 'utf8'), before);
  }));

test('another format, another engine, and what is no identity are refused', (t) =>
  inTemporaryDirectory(async (dataDir) => {
    const file = path.join(dataDir, 'identity.json');
    await openIdentity(dataDir, NODE1);
    const made = JSON.parse(await readFile(file, 'utf8')) as object;
    const other = path.join(dataDir, 'other');
    await openIdentity(other, { ...NODE1, engine: 'classic-level' });
    const ofOther = JSON.parse(await readFile(path.join(other, 'identity.json'), 'utf8')) as object;
    const cases: [unknown, StorageFault, RegExp][] = [
      [{ formatVersion: 2, anything: true }, 'unusable', /format 2, newer than the 1/],
      [ofOther, 'unusable', /engine classic-level, not rocksdb: correct storage\.engine/],
      [{ ...made, formatVersion: 0 }, 'damaged', /formatVersion/],
      [{ ...made, incarnation: undefined }, 'damaged', /incarnation/],
      [{ ...made, clusterId: 7 }, 'damaged', /clusterId/],
      [{ ...made, extra: 1 }, 'damaged', /extra/],
      [{ ...made, checksum: undefined }, 'damaged', /checksum/],
      [{ ...made, clusterId: 'c-2' }, 'damaged', /checksum .*--rejoin/],
      [[], 'damaged', /is damaged/],
    ];
    for (const [content, fault, message] of cases) {
      await writeFile(file, JSON.stringify(content));
      await refused(t, openIdentity(dataDir, NODE1), fault, message);
    }
    for (const text of ['', '{"formatVersion": 1, "eng', '\0\0\0\0']) {
      await writeFile(file, text);
      await refused(t, openIdentity(dataDir, NODE1), 'damaged', /not JSON/);
    }
  }));

test('data without an identity is refused, and stays without', async (t) => {
  for (const name of ['log', 'state', 'snapshots']) {
    await inTemporaryDirectory(async (dataDir) => {
      await openIdentity(dataDir, NODE1);
      await mkdir(path.join(dataDir, name));
      t.is((await openIdentity(dataDir, NODE1)).nodeId, 'node1');
      await rm(path.join(dataDir, 'identity.json'));
      await refused(
        t,
        openIdentity(dataDir, NODE1),
        'unusable',
        new RegExp(`there is .*${name}.*raft\\.dataDir`),
      );
      t.deepEqual(await readdir(dataDir), [name]);
    });
  }
});

test('a path that cannot be a directory is refused', (t) =>
  inTemporaryDirectory(async (parent) => {
    const file = path.join(parent, 'file');
    await writeFile(file, '');
    await refused(t, openIdentity(file, NODE1), 'unusable', /raft\.dataDir must name a directory/);
    await refused(t, openIdentity(path.join(file, 'below'), NODE1), 'unusable', /raft\.dataDir/);
  }));
