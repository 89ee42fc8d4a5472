/**
 * Work that would take a core for itself for a while, cut into pieces: after each one it rests for as long as that took, so that half of the core is left
 * to what else the node, and the machine, has to do.
 */

import type { Clock } from './ports.js';

/** However long a piece took: then something else held it up, not its own work. */
const REST_MS_MAX = 20;

/** Called behind each piece; goes on with the next one, later. */
export function resting(clock: Pick<Clock, 'nowMs' | 'after'>): (next: () => void) => void {
  let startMs = clock.nowMs();
  return (next) => {
    const tookMs = clock.nowMs() - startMs;
    clock.after(Math.min(tookMs, REST_MS_MAX), () => {
      startMs = clock.nowMs();
      next();
    });
  };
}
