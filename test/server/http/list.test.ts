import test from 'ava';

import type { ListResponse } from '../../../api/types.js';
import { assertProblem, startNode } from './harness.js';

const KEYS = ['a', 'a/1', 'a/2', 'b', 'é', '😀'];

async function startFilled(t: Parameters<typeof startNode>[0]): ReturnType<typeof startNode> {
  const node = await startNode(t);
  KEYS.forEach((key, at) =>
    node.service.store.set(key, { key, value: Buffer.from(`v${at}`), revision: at + 2 }),
  );
  return node;
}

async function list(url: string): Promise<ListResponse> {
  const response = await fetch(url);
  if (response.status !== 200) throw new Error(await response.text());
  return (await response.json()) as ListResponse;
}

const keysOf = ({ entries }: ListResponse): string[] => entries.map(({ key }) => key);

test('lists everything, a prefix, a range, either way, with and without values', async (t) => {
  const { url, service } = await startFilled(t);
  const all = await list(`${url}/kv`);
  t.deepEqual(keysOf(all), KEYS);
  t.deepEqual(all.entries[0], { key: 'a', value: 'v0', revision: '2' });
  t.is(all.cursor, null);
  t.is(all.revision, '1');
  t.is(service.lists[0]?.limit, 1000);
  t.deepEqual(keysOf(await list(`${url}/kv?prefix=a%2F`)), ['a/1', 'a/2']);
  t.deepEqual(keysOf(await list(`${url}/kv?start=a/1&end=b`)), ['a/1', 'a/2']);
  t.deepEqual(keysOf(await list(`${url}/kv?reverse=true&prefix=a`)), ['a/2', 'a/1', 'a']);
  t.deepEqual((await list(`${url}/kv?keysOnly&prefix=b`)).entries, [{ key: 'b', revision: '5' }]);
  t.deepEqual(keysOf(await list(`${url}/kv?prefix=&start=&end=&cursor=&reverse=false`)), KEYS);
});

for (const reverse of [false, true]) {
  test(`pages ${reverse ? 'backwards' : 'forwards'} by the cursor to the end`, async (t) => {
    const { url } = await startFilled(t);
    const seen: string[] = [];
    let cursor: string | null = '';
    for (let pages = 0; cursor !== null && pages < 10; pages++) {
      const page = await list(`${url}/kv?limit=2&reverse=${reverse}&cursor=${cursor}`);
      t.true(page.entries.length <= 2);
      seen.push(...keysOf(page));
      ({ cursor } = page);
    }
    t.deepEqual(seen, reverse ? KEYS.toReversed() : KEYS);
  });
}

test('bad parameters of a listing are named', async (t) => {
  const { url } = await startFilled(t);
  const forwards = (await list(`${url}/kv?limit=1`)).cursor ?? '';
  const cases: [query: string, field: string][] = [
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=', 'limit'],
    ['reverse=yes', 'reverse'],
    ['keysOnly=1', 'keysOnly'],
    ['cursor=!!!', 'cursor'],
    ['cursor=YQ', 'cursor'],
    ['cursor=Pg', 'cursor'],
    [`reverse=true&cursor=${forwards}`, 'cursor'],
    [`prefix=${'p'.repeat(4097)}`, 'prefix'],
    ['start=%ff', 'start'],
    ['key=k', 'key'],
    ['limit=1&limit=1', 'limit'],
    ['consistency=', 'consistency'],
  ];
  for (const [query, field] of cases) {
    await assertProblem(t, await fetch(`${url}/kv?${query}`), 400, 'bad-request', field);
  }
});
