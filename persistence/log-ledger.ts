/**
 * What of a log is durable and what is in flight: an append, a compaction, or both. Both implementations keep their books by it; a breach
 * of the contract throws, and changes nothing.
 */

import type { HardState, Position } from '../raft/entry.js';
import type { LogShape } from './log-shape.js';
import { compactedShape, resetShape, shapeAfter } from './log-shape.js';
import type { LogBatch } from './log-store.js';

/** To be called once what was begun is durable. */
export type Landed = () => void;

export interface LogLedger {
  /** The durable log. */
  readonly shape: LogShape;
  append(batch: LogBatch): Landed;
  compact(base: Position): Landed;
  reset(
    base: Position,
    hardState: HardState | undefined,
  ): { readonly hardState: HardState; readonly landed: Landed };
}

export function logLedger(recovered: LogShape): LogLedger {
  let shape = recovered;
  let appending: LogBatch | undefined;
  let compacting: Position | undefined;
  /** A reset holds back everything else. */
  let resetting = false;

  const checkNotResetting = (): void => {
    if (resetting) throw new Error('the log is being reset');
  };
  return {
    get shape() {
      return shape;
    },
    append(batch) {
      checkNotResetting();
      if (appending !== undefined) throw new Error('append was called before the last one was done');
      shapeAfter(compacting === undefined ? shape : compactedShape(shape, compacting), batch);
      appending = batch;
      return () => {
        // Of the two in flight either may land first, and the other one fits what is there then.
        shape = shapeAfter(shape, batch);
        appending = undefined;
      };
    },
    compact(base) {
      checkNotResetting();
      if (compacting !== undefined) throw new Error('compact was called before the last one was done');
      compactedShape(shape, base);
      if (appending !== undefined) compactedShape(shapeAfter(shape, appending), base);
      compacting = base;
      return () => {
        shape = compactedShape(shape, base);
        compacting = undefined;
      };
    },
    reset(base, hardState) {
      checkNotResetting();
      if (appending !== undefined || compacting !== undefined) {
        throw new Error('reset was called while something was in flight');
      }
      const after = resetShape(shape, base, hardState);
      resetting = true;
      return {
        hardState: after.hardState,
        landed: () => {
          shape = after;
          resetting = false;
        },
      };
    },
  };
}
