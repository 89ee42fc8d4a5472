/** What is done to a follower while the others are measured, and how it is taken back. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, ClusterNode } from './cluster.js';
import type { System } from './systems.js';

export const DISTURBANCES = ['dead', 'stopped', 'turns', 'slow'] as const;

export type Disturbance = (typeof DISTURBANCES)[number];

/** In a table's words. */
export const DISTURBED: Readonly<Record<Disturbance, string>> = {
  dead: 'killed (kill -9)',
  stopped: 'stopped (SIGSTOP)',
  turns: 'stopped 500 ms, running 500 ms',
  slow: 'stopped 45 of every 50 ms',
};

/** Of `turns` and `slow`. */
const TURNS_MS = { turns: [500, 500], slow: [45, 5] } as const;

const CAUGHT_UP_PATIENCE_MS = 120_000;
const POLL_MS = 50;

/** Begins it; the result ends it, and resolves when the process runs again. */
export async function disturb(
  disturbance: Disturbance,
  cluster: Cluster,
  follower: ClusterNode,
): Promise<() => Promise<void>> {
  if (disturbance === 'dead') {
    await cluster.kill(follower);
    return () => cluster.restart(follower);
  }
  const stop = (): boolean => follower.process.kill('SIGSTOP');
  const goOn = (): boolean => follower.process.kill('SIGCONT');
  stop();
  let timer: NodeJS.Timeout | undefined;
  if (disturbance !== 'stopped') {
    const [stoppedMs, runningMs] = TURNS_MS[disturbance];
    const turn = (isStopped: boolean): void => {
      timer = setTimeout(
        () => {
          if (isStopped) goOn();
          else stop();
          turn(!isStopped);
        },
        isStopped ? stoppedMs : runningMs,
      );
    };
    turn(true);
  }
  return () => {
    clearTimeout(timer);
    goOn();
    return Promise.resolve();
  };
}

/** Resolves when a node that was away serves, and has what the leader had meanwhile. */
export async function caughtUp(
  system: System,
  follower: ClusterNode,
  leader: ClusterNode,
  signal: AbortSignal,
): Promise<void> {
  const goal = await system.position(leader);
  const deadlineMs = performance.now() + CAUGHT_UP_PATIENCE_MS;
  let missing: string | undefined;
  while (performance.now() < deadlineMs) {
    missing = await system.product.notReady(follower);
    if (missing === undefined) {
      const has = await system.position(follower);
      if (has >= goal) return;
      missing = `it has ${has} of ${goal}`;
    }
    await delay(POLL_MS, undefined, { signal });
  }
  throw new Error(`${follower.id} has not caught up after ${CAUGHT_UP_PATIENCE_MS} ms: ${missing ?? ''}`);
}
