import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { startCluster } from './cluster.js';
import { Cluster } from './cluster.js';

const run = promisify(execFile);
const kv = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  run(process.execPath, ['dist/cli/main.js', ...args]);

test.serial('what was backed up is restored into a new cluster, at revisions above', async (t) => {
  t.timeout(90_000);
  const old = await startCluster(t);
  const [url] = old.urls;
  const set = async (on: string, key: string, value: string, ttl?: number): Promise<number> => {
    const body = { key, value, ...(ttl !== undefined && { ttlMs: ttl }) };
    const answer = await old.http.call(on, 'POST', '/set', body);
    t.is(answer.status, 200);
    return Number(answer.body['revision']);
  };
  for (let at = 0; at < 50; at += 1) await set(url!, `key${at}`, `value${at}`);
  await set(url!, 'fleeting', 'x', 3_600_000);
  const session = await old.http.call(url!, 'POST', '/sessions');
  const file = path.join(old.folder, 'monday.snap');
  const told = await kv('--endpoints', old.urls.join(','), '--output', 'json', 'backup', file);
  t.is((JSON.parse(told.stdout) as { bytes: number }).bytes, readFileSync(file).length);
  const last = await set(url!, 'key0', 'written behind the backup');

  const fresh = await Cluster.create({});
  t.teardown(() => fresh.close());
  const directories = fresh.ids.map((id) => path.join(fresh.folder, id));
  const damaged = path.join(old.folder, 'damaged.snap');
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(300) ^ 1, 300);
  writeFileSync(damaged, bytes);
  await t.throwsAsync(kv('restore', damaged, '--data-dir', ...directories), { message: /damaged/ });
  await kv('restore', file, '--data-dir', ...directories);
  await t.throwsAsync(kv('restore', file, '--data-dir', path.join(old.folder, 'n1')), { message: /empty/ });
  fresh.startAll();
  await fresh.ready();
  for (const id of fresh.ids) {
    for (const key of ['key0', 'key49']) {
      const { body } = await fresh.http.get(fresh.url(id), key, 'stale');
      t.is(body['value'], `value${key.slice(3)}`);
    }
  }
  const [on] = fresh.urls;
  t.like((await fresh.http.get(on!, 'fleeting')).body, { value: 'x' });
  t.true((await set(on!, 'key0', 'new')) > last);
  // A client of the old cluster learns that this is another one, and so does a watcher.
  const tagged = { 'KV-Session': `${String(session.body['clientId'])}/0/0` };
  const late = await fresh.http.call(on!, 'POST', '/set', { key: 'a', value: 'b' }, undefined, tagged);
  t.like(late.body, { code: 'session-expired' });
  const watched = await fresh.http.call(on!, 'GET', `/watch?key=key0&fromRevision=${last}`);
  t.like(watched, { status: 410 });
  for (const id of fresh.ids) {
    await fresh.kill9(id);
    await fresh.restart(id);
  }
  t.is((await fresh.http.get(on!, 'key0')).body['value'], 'new');
});
