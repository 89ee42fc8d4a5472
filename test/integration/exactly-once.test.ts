/** Writes under a session are applied exactly once: through kills, changes of leaders and restarts. */

import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { ConflictError, KVClient, KVError } from 'quorumkv-client';
import { HEADERS } from '../../api/types.js';
import { startCluster, type Cluster } from './cluster.js';
import type { Answer } from './http.js';

const CLIENTS = 4;
/** Concurrent writers of one client: they share its session. */
const WRITERS = 4;
const COUNTERS = ['count/a', 'count/b', 'count/c'];
const KILLS = 3;
/** Acknowledged writes between two kills. */
const BETWEEN_KILLS = 60;
/** Of one call: much longer than a change of leaders on a busy machine. */
const CALL_MS = 30_000;

interface Tally {
  /** Increments acknowledged, by counter. */
  readonly increments: Map<string, number>;
  /** Own keys, with the revision that each acknowledged write returned. */
  readonly chains: Map<string, string[]>;
  acknowledged: number;
  readonly faults: string[];
}

/**
 * A chain on a key of its own: each link demands the revision that the one before returned. A write that was applied
 * twice, or whose repeat got another result than the first, breaks it: nobody else writes the key.
 */
async function link(kv: KVClient, name: string, tally: Tally): Promise<void> {
  const revisions = tally.chains.get(name) ?? [];
  tally.chains.set(name, revisions);
  const last = revisions.at(-1);
  const condition = last === undefined ? { ifAbsent: true } : { ifRevision: last };
  const { revision } = await kv.set(name, String(revisions.length + 1), condition);
  revisions.push(revision);
}

/** Adds one to a counter that all share, by compare-and-set. A conflict is certain to have changed nothing. */
async function increment(kv: KVClient, key: string, tally: Tally): Promise<void> {
  for (;;) {
    const entry = await kv.getEntry(key);
    const condition = entry === undefined ? { ifAbsent: true } : { ifRevision: entry.revision };
    try {
      await kv.set(key, String(Number(entry?.value ?? 0) + 1), condition);
      tally.increments.set(key, (tally.increments.get(key) ?? 0) + 1);
      return;
    } catch (error) {
      if (!(error instanceof ConflictError) || error.outcome !== 'not-applied') throw error;
    }
  }
}

async function runWriter(kv: KVClient, name: string, tally: Tally, isOver: () => boolean): Promise<void> {
  for (let number = 0; !isOver(); number += 1) {
    try {
      if (number % 2 === 0) await link(kv, name, tally);
      else await increment(kv, COUNTERS[(number >> 1) % COUNTERS.length]!, tally);
      tally.acknowledged += 1;
    } catch (error) {
      const said = error instanceof KVError ? `${error.name} (${error.outcome})` : 'no KVError';
      tally.faults.push(`${name}, step ${number}: ${said}: ${String(error)}`);
      return;
    }
    await turn();
  }
}

test.serial(
  'every acknowledged write of the SDK took effect exactly once, and none is left unknown',
  async (t) => {
    t.timeout(120_000);
    const cluster = await startCluster(t);
    const tally: Tally = { increments: new Map(), chains: new Map(), acknowledged: 0, faults: [] };
    const clients = Array.from({ length: CLIENTS }, (_, at) => {
      // Each begins with another node.
      const endpoints = cluster.urls.map((_url, i) => cluster.urls[(i + at) % cluster.urls.length]!);
      const kv = new KVClient({ endpoints, timeoutMs: CALL_MS });
      t.teardown(() => kv.close());
      return kv;
    });
    let over = false;
    const writers = Promise.all(
      clients.flatMap((kv, client) =>
        Array.from({ length: WRITERS }, (_, writer) =>
          runWriter(kv, `chain/${client}/${writer}`, tally, () => over),
        ),
      ),
    );
    const progress = (): Promise<true> => {
      const before = tally.acknowledged;
      return cluster.waitFor(
        'writes are acknowledged',
        () => tally.faults.length > 0 || tally.acknowledged >= before + BETWEEN_KILLS,
        20_000,
      );
    };
    try {
      for (let kill = 1; kill <= KILLS; kill += 1) {
        await progress();
        const leader = await cluster.leader();
        await cluster.kill9(leader);
        await progress();
        await cluster.restart(leader);
      }
      // For a moment there is no majority; the calls outlast it.
      await Promise.all(cluster.ids.map((id) => cluster.kill9(id)));
      cluster.startAll();
      await cluster.ready();
      await progress();
    } finally {
      over = true;
      await writers;
    }

    t.deepEqual(tally.faults, []);
    t.log(`${tally.acknowledged} writes acknowledged`);
    const reader = new KVClient(cluster.urls);
    t.teardown(() => reader.close());
    for (const key of COUNTERS) {
      t.is(await reader.get(key), String(tally.increments.get(key) ?? 0), key);
    }
    t.is(tally.chains.size, CLIENTS * WRITERS);
    for (const [key, revisions] of tally.chains) {
      const entry = await reader.getEntry(key);
      t.is(entry?.value, String(revisions.length), key);
      t.is(entry?.revision, revisions.at(-1), key);
      t.is(new Set(revisions).size, revisions.length, key);
    }
  },
);

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly session: string;
}

function send(cluster: Cluster, id: string, { method, path, body, session }: Sent): Promise<Answer> {
  return cluster.http.call(cluster.url(id), method, path, body, undefined, { [HEADERS.session]: session });
}

test.serial(
  'a repeat gets the first result from every node, after a change of leaders and after a restart of all',
  async (t) => {
    t.timeout(90_000);
    const cluster = await startCluster(t);
    const [node] = cluster.ids;
    const opened = await cluster.http.call(cluster.url(node!), 'POST', '/sessions');
    t.is(opened.status, 201);
    const clientId = String(opened.body['clientId']);
    t.regex(clientId, /^\d+$/);

    const write = (seq: number, method: string, path: string, body?: unknown): Sent => ({
      method,
      path,
      body,
      session: `${clientId}/${seq}/0`,
    });
    const writes = [
      write(0, 'POST', '/set', { key: 'k', value: 'first', ifAbsent: true }),
      write(1, 'POST', '/set', { key: 'k', value: 'refused', ifAbsent: true }),
      write(2, 'DELETE', '/delete?key=k'),
      write(3, 'DELETE', '/delete?key=k'),
      write(4, 'POST', '/set', { key: 'k', value: 'second', ifAbsent: true }),
    ];
    const shown = ({ status, body }: Answer) => {
      // Who leads, and which request it was, is no part of the result.
      const { requestId: _, leader: __, ...rest } = body;
      return { status, ...rest };
    };
    const first: unknown[] = [];
    for (const sent of writes) first.push(shown(await send(cluster, node!, sent)));
    t.deepEqual(
      first.map((answer) => (answer as { status: unknown }).status),
      [200, 412, 'deleted', 'not-found', 200],
    );
    // Another client writes meanwhile: a repeat that was applied would be seen.
    t.is((await cluster.http.set(cluster.url(node!), 'k', 'of another')).status, 200);
    const { body: before } = await cluster.http.get(cluster.url(node!), 'k');

    const repeatsAreKnown = async (when: string): Promise<void> => {
      for (const id of cluster.ids) {
        for (const [at, sent] of writes.entries()) {
          t.deepEqual(
            shown(await send(cluster, id, sent)),
            first[at],
            `${when}, ${sent.session}, asked of ${id}`,
          );
        }
        t.deepEqual((await cluster.http.get(cluster.url(id), 'k')).body, before, when);
      }
    };
    await repeatsAreKnown('at once');

    const leader = await cluster.leader();
    await cluster.kill9(leader);
    await cluster.waitFor('another node leads', async () => (await cluster.leader()) !== leader, 15_000);
    await cluster.restart(leader);
    await cluster.caughtUp();
    await repeatsAreKnown('after a change of leaders');

    await Promise.all(cluster.ids.map((id) => cluster.kill9(id)));
    cluster.startAll();
    await cluster.ready();
    await repeatsAreKnown('after a restart of all nodes');

    // The session goes on, and forgets what its client says that it has.
    const next: Sent = { ...writes[4]!, session: `${clientId}/5/5`, body: { key: 'k', value: 'third' } };
    t.is((await send(cluster, node!, next)).status, 200);
    const forgotten = await send(cluster, node!, writes[0]!);
    t.is(forgotten.status, 409);
    t.is(forgotten.body['code'], 'session-expired');
    t.is((await cluster.http.get(cluster.url(node!), 'k')).body['value'], 'third');
  },
);
