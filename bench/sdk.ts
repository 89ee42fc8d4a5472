/**
 * `npm run bench:sdk`: what one process gets through one client, with calls that share round trips and without, on a
 * fresh cluster of three nodes.
 */

import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { KVClient } from 'quorumkv-client';
import { ROOT, startCluster } from './cluster.js';

const NODES = 3;
const VALUE = 'x'.repeat(256);
const KEYS = 10_000;
/** Not counted: connections are made, and code is compiled. */
const WARM_UP_MS = 1_000;

interface Options {
  readonly calls: number;
  readonly seconds: number;
  readonly dir: string;
}

interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Call = (kv: KVClient, key: string) => Promise<unknown>;

const CALLS: Readonly<Record<string, Call>> = {
  set: (kv, key) => kv.set(key, VALUE),
  get: (kv, key) => kv.get(key),
};

function parseOptions(): Options {
  const positive = (text: string): number => {
    if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 1 up.');
    return Number(text);
  };
  return new Command('npm run bench:sdk --')
    .description(
      `Calls of one client on ${NODES} nodes: shipped defaults, fsync on, values of ${VALUE.length} bytes.`,
    )
    .option('--calls <n>', 'concurrent calls', positive, 256)
    .option('--seconds <n>', 'how long each run takes', positive, 10)
    .option('--dir <path>', 'where the data is kept meanwhile; on a real disk', path.join(ROOT, 'data'))
    .parse()
    .opts<Options>();
}

/** So many loops, each of which calls anew when it has its answer. */
async function measure(kv: KVClient, call: Call, { calls, seconds }: Options): Promise<Measured> {
  const startMs = performance.now() + WARM_UP_MS;
  const endMs = startMs + seconds * 1000;
  const tookMs: number[] = [];
  const loop = async (): Promise<void> => {
    for (;;) {
      const sentMs = performance.now();
      if (sentMs >= endMs) return;
      await call(kv, `key${Math.floor(Math.random() * KEYS)}`);
      if (sentMs >= startMs) tookMs.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: calls }, loop));
  const sorted = Float64Array.from(tookMs).sort();
  const quantile = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { perSecond: Math.round(sorted.length / seconds), p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}

async function main(): Promise<void> {
  const options = parseOptions();
  const cluster = await startCluster(NODES, options.dir);
  try {
    await cluster.leader();
    console.log(`${options.calls} concurrent calls of one client\n`);
    console.log('| call | autoPipeline | calls/s | p50 ms | p99 ms |');
    console.log('| ---- | ------------ | ------- | ------ | ------ |');
    for (const [name, call] of Object.entries(CALLS)) {
      const rates: number[] = [];
      for (const autoPipeline of [false, true]) {
        const kv = new KVClient({ endpoints: cluster.nodes.map(({ http }) => http), autoPipeline });
        const { perSecond, p50Ms, p99Ms } = await measure(kv, call, options);
        await kv.close();
        rates.push(perSecond);
        console.log(
          `| ${name} | ${autoPipeline ? 'on' : 'off'} | ${perSecond} | ${p50Ms.toFixed(1)} | ${p99Ms.toFixed(1)} |`,
        );
      }
      const [off = 1, on = 0] = rates;
      console.log(`| ${name} | | x ${(on / off).toFixed(1)} | | |`);
    }
  } finally {
    await cluster.stop();
  }
}

await main();
