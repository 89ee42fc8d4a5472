/** `npm run soak:watch -- --minutes 5` */

import { Command, InvalidArgumentError } from 'commander';

import { soakWatches } from './watch-soak.js';

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('a number above zero is needed');
  return value;
}

const { minutes, seed } = new Command('soak:watch')
  .description(
    'Watches through kills of the leader, restarts, pauses and cut links: no gap, no repeat, no other order.',
  )
  .option('--minutes <m>', 'so long', positive, 5)
  .option('--seed <n>', 'of the faults', positive, Math.floor(Date.now() / 1000))
  .parse()
  .opts<{ minutes: number; seed: number }>();
try {
  const report = await soakWatches(minutes * 60, seed, (line) => console.log(line));
  console.log(JSON.stringify({ seed, ...report }, undefined, 2));
  console.log('no gap, no repeat, no other order');
} catch (error) {
  console.error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
