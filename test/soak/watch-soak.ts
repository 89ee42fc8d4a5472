/**
 * Watches while leaders are killed, nodes restarted and paused, and links cut: each must tell every change once, in order. What they tell is held
 * against what was acknowledged, against each other, against a fresh watch of the whole history, and against the log.
 */

import { setTimeout as delay } from 'node:timers/promises';

import { KVClient } from 'quorumkv-client';

import { Cluster } from '../integration/cluster.js';
import { Links } from './links.js';

const PREFIX = 'soak/';
const WRITERS = 5;
/** Between two writes of one writer: the history holds 10,000 revisions at least, and is read in whole at the end. */
const PAUSE_MS = 160;
const WATCHES = 4;
const CALL_MS = 60_000;
const END_MS = 60_000;

export interface SoakReport {
  readonly seconds: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly events: number;
  readonly comparedWithLog: number;
}

/** One change as a watch told it. */
interface Told {
  readonly revision: number;
  /** Its place among what the revision changed. */
  readonly n: number;
  readonly line: string;
}

interface Soak {
  readonly cluster: Cluster;
  readonly links: Links;
  readonly random: () => number;
  readonly faults: Record<string, number>;
}

/** @throws an Error that says what was missing, repeated or out of order */
export async function soakWatches(
  seconds: number,
  seed: number,
  say: (line: string) => void = () => undefined,
): Promise<SoakReport> {
  const links = new Links();
  const cluster = await Cluster.create({ raftAddress: (id, bound) => links.open(id, bound) });
  const kv = new KVClient({ endpoints: cluster.urls, timeoutMs: CALL_MS });
  try {
    cluster.startAll();
    await cluster.ready();
    const soak = { cluster, links, random: randomFrom(seed), faults: {} };
    return await run(soak, kv, seconds, say);
  } finally {
    await kv.close();
    links.close();
    await cluster.close();
  }
}

async function run(
  soak: Soak,
  kv: KVClient,
  seconds: number,
  say: (line: string) => void,
): Promise<SoakReport> {
  const { cluster } = soak;
  const { revision: first } = await kv.set(`${PREFIX}first`, '0');
  /** The revision of each write: no two of them are alike. */
  const acknowledged = new Map<string, number>([[line('put', `${PREFIX}first`, '0'), Number(first)]]);
  const attempted = new Set<string>(acknowledged.keys());
  const watches = Array.from({ length: WATCHES }, () => follow(kv, first));
  const startMs = performance.now();
  let stopping = false;
  const write = async (writer: number): Promise<void> => {
    for (let i = 1; !stopping; i += 1) {
      const key = `${PREFIX}${writer}/${i % 50}`;
      const value = `${writer}.${i}`;
      attempted.add(line('put', key, value));
      const { revision } = await kv.set(key, value);
      acknowledged.set(line('put', key, value), Number(revision));
      await delay(PAUSE_MS);
    }
  };
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  // Heard at the end; a failure meanwhile is no unhandled one.
  writers.catch(() => undefined);
  while (performance.now() - startMs < seconds * 1000) {
    await oneFault(soak);
    say(
      `${Math.round((performance.now() - startMs) / 1000)} s, ${acknowledged.size} writes, ${JSON.stringify(soak.faults)}`,
    );
  }
  stopping = true;
  await writers;
  const end = Number((await kv.set(`${PREFIX}end`, 'end')).revision);
  acknowledged.set(line('put', `${PREFIX}end`, 'end'), end);
  attempted.add(line('put', `${PREFIX}end`, 'end'));
  const told = await Promise.all([...watches, follow(kv, first)].map((watch) => watch.done()));
  told.forEach((events, at) => judge(events, acknowledged, attempted, `watch ${at}`));
  const comparedWithLog = await compareWithLog(cluster, told[0] ?? []);
  return {
    seconds: Math.round((performance.now() - startMs) / 1000),
    faults: soak.faults,
    acknowledged: acknowledged.size,
    events: told[0]?.length ?? 0,
    comparedWithLog,
  };
}

function line(type: string, key: string, value: string): string {
  return `${type} ${key} ${value}`;
}

interface Follower {
  /** Everything up to the last write. */
  done(): Promise<readonly Told[]>;
}

function follow(kv: KVClient, fromRevision: string): Follower {
  const told: Told[] = [];
  const finished = (async () => {
    for await (const event of kv.watch({ prefix: PREFIX }, { fromRevision })) {
      const { type, key, revision, n } = event;
      const value = event.type === 'put' ? event.value : '';
      told.push({ revision: Number(revision), n, line: line(type, key, value) });
      if (key === `${PREFIX}end`) return;
    }
  })();
  finished.catch(() => undefined);
  return {
    async done() {
      const inTime = await Promise.race([finished.then(() => true), delay(END_MS, false, { ref: false })]);
      if (!inTime)
        throw new Error(`a watch has not come to the end; its last is ${JSON.stringify(told.at(-1))}`);
      return told;
    },
  };
}

/** No gap, no repeat, no other order, nothing made up. */
function judge(
  events: readonly Told[],
  acknowledged: ReadonlyMap<string, number>,
  attempted: ReadonlySet<string>,
  who: string,
): void {
  let before = { revision: 0, n: 0 };
  const seen = new Map<string, number>();
  for (const { revision, n, line: told } of events) {
    const follows = revision > before.revision || (revision === before.revision && n > before.n);
    if (!follows)
      throw new Error(`${who}: ${revision}.${n} (${told}) came behind ${before.revision}.${before.n}`);
    if (!attempted.has(told)) throw new Error(`${who}: ${revision} (${told}) was never written`);
    if (seen.has(told)) throw new Error(`${who}: ${revision} (${told}) came again`);
    before = { revision, n };
    seen.set(told, revision);
  }
  for (const [written, revision] of acknowledged) {
    const told = seen.get(written);
    if (told !== revision)
      throw new Error(
        `${who}: ${written} is told at ${told ?? 'no revision'}, and was acknowledged at ${revision}`,
      );
  }
}

/** The newest entries of a log: every set of a watched key is an event at its index, and every event is such an entry. */
async function compareWithLog(cluster: Cluster, events: readonly Told[]): Promise<number> {
  const url = cluster.url(await cluster.leader());
  const response = await fetch(`${url}/cluster/log?limit=1000`);
  const { entries } = (await response.json()) as {
    entries: { index: number; type: string; key: string | null }[];
  };
  const oldest = entries.at(-1)?.index ?? 0;
  const inLog = entries
    .filter(({ index, type, key }) => index > oldest && type === 'set' && key?.startsWith(PREFIX) === true)
    .map(({ index, key }) => `${index} ${key ?? ''}`)
    .toReversed();
  const told = events
    // Of the oldest entry some lines may be cut off.
    .filter(({ revision }) => revision > oldest)
    .map(({ revision, line: text }) => `${revision} ${text.split(' ')[1] ?? ''}`);
  const toldSet = new Set(told);
  const logSet = new Set(inLog);
  // A retry that met its first attempt's entry is an entry without a change.
  const untold = inLog.filter((entry) => !toldSet.has(entry));
  const invented = told.filter((entry) => !logSet.has(entry));
  if (invented.length > 0) throw new Error(`not in the log: ${invented.join(', ')}`);
  const sessions = untold.length;
  if (sessions > inLog.length / 2) throw new Error(`${sessions} entries of the log were told by no watch`);
  return told.length;
}

async function oneFault({ cluster, links, random, faults }: Soak): Promise<void> {
  const leader = await cluster.leader();
  const others = cluster.ids.filter((id) => id !== leader);
  const any = cluster.ids[Math.floor(random() * cluster.ids.length)] ?? leader;
  const kinds: Record<string, () => Promise<unknown>> = {
    'kill the leader': async () => {
      await cluster.kill9(leader);
      await delay(500 + 1000 * random());
      await cluster.restart(leader);
    },
    'restart a node': async () => {
      await cluster.stop(any);
      await cluster.restart(any);
    },
    'pause the leader': async () => {
      cluster.pause(leader);
      await delay(500 + 1500 * random());
      cluster.resume(leader);
    },
    'cut off a follower': async () => {
      links.cut(others[0] ?? leader);
      await delay(500 + 2000 * random());
      links.heal();
    },
    'cut off both followers': async () => {
      for (const id of others) links.cut(id);
      await delay(500 + 2000 * random());
      links.heal();
    },
  };
  const names = Object.keys(kinds);
  // Each kind in turn, so that a short run has most of them.
  const name = names[Object.values(faults).reduce((sum, count) => sum + count, 0) % names.length] ?? '';
  await kinds[name]?.();
  faults[name] = (faults[name] ?? 0) + 1;
  await cluster.ready();
}

/** The same numbers for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
