/**
 * What becomes of a state on which applying a committed entry threw. Either the state is wrong, or every node throws there: then all of them would give up
 * states that are right. So the mark that the process leaves is a suspicion only; the next start asks the others whether they got past that entry
 * (`docs/decisions/0041`).
 */

import { z } from 'zod';
import { majority } from '../membership/quorum.js';
import type { Configuration, NodeId } from '../membership/configuration.js';
import { StorageError } from '../persistence/errors.js';
import { markState, readStateMark, removeStateMark } from '../persistence/state-mark.js';
import type { Index } from '../raft/entry.js';
import { CLUSTER_STATUS_METHOD } from './rpc/kv-wire.js';
import type { ControlClient } from './rpc/control.js';

const ASK_TIMEOUT_MS = 2000;

const statusSchema = z.looseObject({ lastApplied: z.int() });

/** Durably, since the process ends behind it. */
export function suspectState(dataDir: string, index: Index, error: unknown): void {
  const why = error instanceof Error ? error.message : String(error);
  markState(dataDir, {
    kind: 'suspect',
    what: `applying the log up to entry ${index} failed: ${why}`,
    index,
  });
}

export interface SuspicionParts {
  readonly dataDir: string;
  readonly self: NodeId;
  readonly configuration: Configuration | undefined;
  readonly control: Pick<ControlClient, 'call'>;
}

/**
 * @throws StorageError where a majority of the voters has applied what this node could not: the next start makes the state anew. Where none has,
 *   or none answers, the node goes on with the state that it has, and may end again.
 */
export async function settleSuspicion(parts: SuspicionParts): Promise<void> {
  const { dataDir, self, configuration, control } = parts;
  const mark = readStateMark(dataDir);
  if (mark?.kind !== 'suspect') return;
  const voters = (configuration?.members ?? []).filter(({ voter }) => voter).map(({ id }) => id);
  const passed = await Promise.all(
    voters
      .filter((id) => id !== self)
      .map(async (id) => {
        try {
          const answer = await control.call(id, CLUSTER_STATUS_METHOD, {}, ASK_TIMEOUT_MS);
          return statusSchema.parse(answer).lastApplied >= mark.index;
        } catch {
          // Who does not answer vouches for nothing.
          return false;
        }
      }),
  );
  if (voters.length === 0 || passed.filter(Boolean).length < majority(voters.length)) return;
  const what = `${mark.what}, but a majority of the nodes has applied it`;
  markState(dataDir, { kind: 'diverged', what });
  throw new StorageError(
    'damaged',
    `${what}: the state of this node is wrong; its next start makes it anew`,
    undefined,
    'state',
  );
}

/** For when the node has applied what was committed when it came. */
export async function endSuspicion(dataDir: string): Promise<void> {
  if (readStateMark(dataDir)?.kind === 'suspect') await removeStateMark(dataDir);
}
