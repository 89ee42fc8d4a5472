/** Writers that go on through failures and remember what was acknowledged. */

import type { ExecutionContext } from 'ava';
import { NoAnswer } from './http.js';
import type { Cluster } from './cluster.js';

/** A key has one writer, which writes the numbers 1, 2, 3, … to it. */
export interface WrittenKey {
  readonly key: string;
  /** The newest acknowledged number; 0: none yet. */
  acknowledged: number;
  /** The newest number that may be there: sent, its outcome not known. */
  attempted: number;
}

export interface Load {
  readonly keys: readonly WrittenKey[];
  /** Writes acknowledged by now. */
  acknowledged(): number;
  /** Ends the writers; resolves once the last one has its answer. */
  stop(): Promise<void>;
}

/** Starts `writers` writers, spread over all nodes; they end with the test at the latest. */
export function startLoad(t: ExecutionContext, cluster: Cluster, writers: number): Load {
  const keys = Array.from({ length: writers }, (_, at) => ({
    key: `load/${at}`,
    acknowledged: 0,
    attempted: 0,
  }));
  let stopping = false;
  let acknowledged = 0;
  const write = async (written: WrittenKey, position: number): Promise<void> => {
    for (let turn = position; !stopping; turn += 1) {
      const base = cluster.urls[turn % cluster.urls.length] ?? '';
      written.attempted += 1;
      const value = String(written.attempted);
      try {
        const { status } = await cluster.http.set(base, written.key, value);
        if (status === 200) {
          written.acknowledged = Number(value);
          acknowledged += 1;
          // Stays with a node that answers.
          turn -= 1;
        }
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        // While every node is down, refusals come at once: let others run between.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const running = Promise.all(keys.map(write));
  const stop = async (): Promise<void> => {
    stopping = true;
    await running;
  };
  t.teardown(stop);
  return { keys, acknowledged: () => acknowledged, stop };
}

/** Undefined when `value` can be there after the load; else what is wrong. */
export function loadFault(written: WrittenKey, value: unknown): string | undefined {
  const { key, acknowledged, attempted } = written;
  if (value === undefined)
    return acknowledged === 0 ? undefined : `${key}: ${acknowledged} is lost, nothing is there`;
  const found = Number(value);
  if (found < acknowledged) return `${key}: ${acknowledged} was acknowledged, ${found} is there`;
  return found > attempted ? `${key}: ${found} is there, ${attempted} was the last one sent` : undefined;
}

/** What is wrong with the loaded keys as one node shows them. */
export async function loadFaults(
  cluster: Cluster,
  load: Load,
  id: string,
  consistency: string,
): Promise<readonly string[]> {
  const faults = await Promise.all(
    load.keys.map(async (written) => {
      const { status, body } = await cluster.http.get(cluster.url(id), written.key, consistency);
      if (status !== 200 && status !== 404) return `${written.key}: ${status} ${JSON.stringify(body)}`;
      return loadFault(written, body['value']);
    }),
  );
  return faults.filter((fault) => fault !== undefined);
}
