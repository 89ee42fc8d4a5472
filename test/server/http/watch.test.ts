import test from 'ava';

import { ServiceError } from '../../../server/service.js';
import { assertProblem, startNode } from './harness.js';

test('changes come as server-sent events with ids to resume by, and say at last why they end', async (t) => {
  const { url, service } = await startNode(t);
  const put = { kind: 'put', key: 'a', value: Buffer.from('1\n2') } as const;
  service.items.push(
    { type: 'progress', seen: 4 },
    { type: 'event', change: put, revision: 5, n: 1, of: 3 },
    { type: 'event', change: { ...put, value: Buffer.from([0xff]) }, revision: 5, n: 2, of: 3 },
    { type: 'event', change: { kind: 'delete', key: 'b' }, revision: 5, n: 3, of: 3 },
    { type: 'event', change: { kind: 'expired', key: 'c' }, revision: 6, n: 1, of: 1 },
    { type: 'cut-off', why: 'revision-compacted', seen: 6, oldest: 9 },
  );
  const response = await fetch(`${url}/watch?prefix=`);
  t.is(response.status, 200);
  t.is(response.headers.get('content-type'), 'text/event-stream');
  t.is(response.headers.get('cache-control'), 'no-store');
  t.deepEqual((await response.text()).split('\n\n'), [
    ': all before revision 5 was told\nid: 5.0',
    'id: 5.1\nevent: put\ndata: {"type":"put","key":"a","value":"1\\n2","revision":"5","n":1,"of":3}',
    'id: 5.2\nevent: put\ndata: {"type":"put","key":"a","valueBase64":"/w==","revision":"5","n":2,"of":3}',
    'id: 5.3\nevent: delete\ndata: {"type":"delete","key":"b","revision":"5","n":3,"of":3}',
    'id: 6.1\nevent: delete\ndata: {"type":"delete","key":"c","revision":"6","n":1,"of":1,"reason":"expired"}',
    'id: 7.0\nevent: cut-off\ndata: {"code":"revision-compacted","resumeAt":"7.0","oldestRevision":"9"}',
    '',
  ]);
});

test('what is watched, and from where', async (t) => {
  const { url, service } = await startNode(t);
  const watch = async (query: string, lastEventId?: string): Promise<void> => {
    const headers = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId };
    const response = await fetch(`${url}/watch${query}`, { headers });
    t.is(response.status, 200);
    await response.text();
  };
  await watch('?key=a%2Fb');
  await watch('?prefix=a&fromRevision=7');
  // A client that comes back repeats its URL, but has seen more by now.
  await watch('?prefix=&fromRevision=7', '9.2');
  t.deepEqual(service.watched, [
    { query: { key: 'a/b' }, from: undefined },
    { query: { prefix: 'a' }, from: { after: 6, n: 0 } },
    { query: { prefix: '' }, from: { after: 8, n: 2 } },
  ]);
  const head = await fetch(`${url}/watch?key=a`, { method: 'HEAD' });
  t.is(head.headers.get('content-type'), 'text/event-stream');
  t.is(service.watched.length, 3);
});

test('what is wrong with a watch is named', async (t) => {
  const { url, service } = await startNode(t);
  for (const [query, field] of [
    ['', 'key'],
    ['?key=', 'key'],
    ['?key=a&prefix=b', 'prefix'],
    ['?key=a&fromRevision=0', 'fromRevision'],
    ['?key=a&fromRevision=', 'fromRevision'],
    ['?key=a&consistency=stale', 'consistency'],
  ] as const)
    await assertProblem(t, await fetch(`${url}/watch${query}`), 400, 'bad-request', field);
  for (const id of ['x', '7', '0.0', '-1.2', '7.x']) {
    const response = await fetch(`${url}/watch?key=a`, { headers: { 'Last-Event-ID': id } });
    await assertProblem(t, response, 400, 'bad-request', 'Last-Event-ID');
  }
  await assertProblem(t, await fetch(`${url}/watch?key=a`, { method: 'POST' }), 405, 'method-not-allowed');
  t.deepEqual(service.watched, []);
  service.failure = new ServiceError('revision-compacted', 'gone', { oldestRevision: 12 });
  const problem = await assertProblem(
    t,
    await fetch(`${url}/watch?key=a&fromRevision=3`),
    410,
    'revision-compacted',
  );
  t.is(problem.oldestRevision, '12');
});
