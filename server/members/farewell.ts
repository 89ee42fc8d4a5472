/** A removed node tells its clients who leads before it ends: they may know no other node. */

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { LeaderHint } from '../../api/errors.js';
import type { Member } from '../../membership/configuration.js';
import type { Credentials } from '../credentials.js';
import { askStatus } from '../rpc/ask-status.js';

export interface Farewell {
  /** Who was a member beside this node, as far as it knows. */
  readonly others: readonly Member[];
  readonly credentials: Credentials;
  /** From now on clients are refused, and sent to the leader. */
  readonly refuse: (leader: LeaderHint | undefined) => void;
}

const ATTEMPT_TIMEOUT_MS = 300;
/** The others may have to elect first. */
const SEARCH_MS = 1500;
const RETRY_MS = 50;
/** Clients that are at work hear of it within this time. */
const LINGER_MS = 1500;

const statusSchema = z.object({ leader: z.object({ id: z.string(), http: z.string() }).nullable() });

export async function sayFarewell({ others, credentials, refuse }: Farewell): Promise<void> {
  const untilMs = performance.now() + SEARCH_MS;
  let leader: LeaderHint | undefined;
  while (leader === undefined && performance.now() < untilMs) {
    const heard = await Promise.all(others.map(({ http }) => leaderSeenAt(http, credentials)));
    leader = heard.find((hint) => hint !== undefined);
    if (leader === undefined) await delay(RETRY_MS);
  }
  refuse(leader);
  await delay(LINGER_MS);
}

async function leaderSeenAt(http: string, credentials: Credentials): Promise<LeaderHint | undefined> {
  try {
    return statusSchema.parse(await askStatus(http, credentials, ATTEMPT_TIMEOUT_MS)).leader ?? undefined;
  } catch {
    return undefined;
  }
}
