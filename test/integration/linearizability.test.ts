import test from 'ava';
import { checkHistory } from '../linearizability/checker.js';
import type { Action, Condition, Operation, Outcome } from '../linearizability/history.js';
import { random, type Random } from '../linearizability/simulate.js';
import { startCluster, type Cluster } from './cluster.js';

const CLIENTS = 10;
const KEYS = ['a', 'b/c', 'ключ'];
const KILLS = 4;
/** Answered operations between two kills. */
const BETWEEN_KILLS = 150;

async function record(
  cluster: Cluster,
  history: Operation[],
  client: string,
  base: string,
  key: string,
  action: Action,
): Promise<Outcome> {
  const invokeMs = performance.now();
  const outcome = await cluster.http.perform(base, key, action);
  history.push({ client, key, action, outcome, invokeMs, returnMs: performance.now() });
  return outcome;
}

/**
 * Stops the leader (SIGSTOP) until another one has acknowledged writes, asks the sleeping one for what was written, and
 * wakes it: it must not answer from what it knew.
 */
async function pauseLeader(cluster: Cluster, history: Operation[]): Promise<void> {
  const paused = await cluster.leader();
  cluster.pause(paused);
  const reads: Promise<Outcome>[] = [];
  try {
    const successor = await cluster.waitFor(
      'another node leads',
      async () => {
        const leader = await cluster.leader();
        return leader === paused ? undefined : leader;
      },
      15_000,
    );
    for (const key of KEYS) {
      const action: Action = { type: 'set', value: `while ${paused} sleeps` };
      await record(cluster, history, 'pause', cluster.url(successor), key, action);
      reads.push(record(cluster, history, `awake-${key}`, cluster.url(paused), key, { type: 'get' }));
    }
  } finally {
    cluster.resume(paused);
  }
  await Promise.all(reads);
}

/** One client's operations, one after the other, each through the next node. */
async function runClient(
  cluster: Cluster,
  name: string,
  next: Random,
  history: Operation[],
  isOver: () => boolean,
): Promise<void> {
  /** The newest revision that this client saw of a key. */
  const revisions = new Map<string, number>();
  for (let number = 0; !isOver(); number += 1) {
    const key = KEYS[Math.floor(next() * KEYS.length)]!;
    const base = cluster.urls[Math.floor(next() * cluster.urls.length)]!;
    const action = pickAction(next, `${name}-${number}`, revisions.get(key));
    const outcome = await record(cluster, history, name, base, key, action);
    if ((outcome.type === 'value' || outcome.type === 'written') && outcome.revision !== undefined) {
      revisions.set(key, outcome.revision);
    }
  }
}

function pickAction(next: Random, value: string, revision: number | undefined): Action {
  const draw = next();
  if (draw < 0.4) return { type: 'get' };
  if (draw < 0.65) return { type: 'set', value };
  if (draw < 0.75) return { type: 'delete' };
  const condition: Condition =
    draw < 0.82 || revision === undefined ? { type: 'absent' } : { type: 'revision', revision };
  if (draw < 0.95 || condition.type === 'absent') return { type: 'set', value, condition };
  return { type: 'delete', condition };
}

test.serial(
  'what concurrent clients see through kills and a pause of the leader is linearizable',
  async (t) => {
    t.timeout(90_000);
    const cluster = await startCluster(t);
    const history: Operation[] = [];
    const answered = (): number =>
      history.reduce(
        (sum, { outcome }) => sum + Number(outcome.type !== 'unknown' && outcome.type !== 'not-applied'),
        0,
      );
    let over = false;
    const seed = Date.now() % 2 ** 32;
    t.log(`seed ${seed}`);
    const clients = Promise.all(
      Array.from({ length: CLIENTS }, (_, at) =>
        runClient(cluster, `c${at}`, random(seed + at), history, () => over),
      ),
    );
    const progress = (): Promise<true> => {
      const before = answered();
      return cluster.waitFor('clients get answers', () => answered() >= before + BETWEEN_KILLS, 15_000);
    };
    try {
      for (let kill = 1; kill <= KILLS; kill += 1) {
        await progress();
        const leader = await cluster.leader();
        await cluster.kill9(leader);
        await progress();
        await cluster.restart(leader);
      }
      await pauseLeader(cluster, history);
      await progress();
    } finally {
      over = true;
      await clients;
    }

    const kinds = new Map<string, number>();
    for (const { outcome } of history) kinds.set(outcome.type, (kinds.get(outcome.type) ?? 0) + 1);
    t.log([...kinds].map(([kind, count]) => `${kind} ${count}`).join(', '));
    const verdict = checkHistory(history);
    t.is(verdict.type, 'linearizable', verdict.type === 'linearizable' ? '' : verdict.report);
    for (const kind of ['value', 'missing', 'written', 'deleted', 'mismatch'] as const) {
      t.true(kinds.has(kind), `no operation ended as ${kind}: the test tests too little`);
    }
  },
);
