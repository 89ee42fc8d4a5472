/** Counts what the log holds, so that a member's lag can be told in bytes. */

import { LogSizes } from '../log-sizes.js';
import type { LogExtent } from '../snapshot-making.js';
import type { Snapshotting } from '../snapshotting.js';

export interface Counted {
  readonly sizes: Pick<LogSizes, 'between'>;
  /** The same snapshotting, listened to: it is told of everything that is applied. */
  count(snapshotting: Snapshotting): Snapshotting;
}

export function countLog({ base, last, bytes }: LogExtent): Counted {
  const sizes = new LogSizes(base, last, bytes);
  return {
    sizes,
    count: (snapshotting) => ({
      carryOut: (ready) => snapshotting.carryOut(ready),
      tick: (nowMs) => snapshotting.tick(nowMs),
      stop: () => snapshotting.stop(),
      applied(position, appliedBytes) {
        sizes.add(position.index, appliedBytes);
        snapshotting.applied(position, appliedBytes);
      },
      restore(snapshot, done) {
        snapshotting.restore(snapshot, (applied) => {
          if (applied !== undefined) sizes.reset(applied.index);
          done(applied);
        });
      },
    }),
  };
}
