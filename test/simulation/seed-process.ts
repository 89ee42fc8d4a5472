/**
 * A process that runs one seed after the other, as it is told by the one that forked it. What it runs may be broken in any way: it may
 * hang, or end the process.
 */

import type { RunReport } from './run.js';
import { simulate } from './run.js';

export interface SeedRequest {
  readonly seed: number;
}

export interface SeedAnswer {
  readonly result:
    | { readonly type: 'passed'; readonly run: RunReport }
    | { readonly type: 'failed'; readonly message: string };
  /** Of this process, since it began. */
  readonly cpuMs: number;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function answer(result: SeedAnswer['result'], then: () => void = () => undefined): void {
  process.send?.({ result, cpuMs: cpuMs() } satisfies SeedAnswer, then);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function run({ seed }: SeedRequest): Promise<void> {
  try {
    answer({ type: 'passed', run: await simulate({ seed }) });
  } catch (error) {
    answer({ type: 'failed', message: messageOf(error) });
  }
}

process.on('uncaughtException', (error) => {
  answer({ type: 'failed', message: messageOf(error) }, () => process.exit(1));
});
process.on('disconnect', () => process.exit(0));
// A terminal tells the whole group; whoever forked this one ends it.
process.on('SIGINT', () => undefined);
process.on('message', (request: SeedRequest) => void run(request));
