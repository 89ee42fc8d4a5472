/** `npm run fuzz`: random requests on every route and method of a real node. */

import { Command, InvalidArgumentError } from 'commander';

import { Cluster } from '../integration/cluster.js';
import { FUZZED, fuzz } from './fuzz.js';

/** What resident memory may grow by after the warm-up: the caches of the engine fill until then, and beyond. */
const GROWTH_BYTES_MAX = 128 * 1024 * 1024;
const HEAP_GROWTH_BYTES_MAX = 64 * 1024 * 1024;

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('a whole number from 1 is needed');
  return value;
}

async function main(): Promise<void> {
  const { requests, seed } = new Command('fuzz')
    .description('Random requests on every route and every method of JSON-RPC of a real node.')
    .option('--requests <n>', 'so many', whole, 100_000)
    .option('--seed <n>', 'replays a run', whole, Math.floor(Date.now() / 1000))
    .parse()
    .opts<{ requests: number; seed: number }>();
  const cluster = await Cluster.create(FUZZED);
  const startMs = performance.now();
  try {
    cluster.startAll();
    await cluster.ready();
    const report = await fuzz({
      cluster,
      requests,
      seed,
      progress: (done) => {
        if (done % 10_000 === 0) console.log(`${done} requests`);
      },
    });
    if (!cluster.isRunning('n1')) throw new Error('the node has ended');
    const seconds = Math.round((performance.now() - startMs) / 1000);
    console.log(JSON.stringify({ seed, seconds, ...report }, undefined, 2));
    const [warm, end] = report.memoryBytes;
    const [heapWarm, heapEnd] = report.heapBytes;
    if (end - warm > GROWTH_BYTES_MAX || heapEnd - heapWarm > HEAP_GROWTH_BYTES_MAX)
      throw new Error(`memory grew from ${warm} to ${end} bytes, the heap from ${heapWarm} to ${heapEnd}`);
    console.log('no 500, no crash, no growth of memory, nothing stored that was refused');
  } catch (error) {
    console.error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  } finally {
    await cluster.close();
  }
}

await main();
