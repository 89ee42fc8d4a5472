/** The way in for a node with an empty disk: it asks the members that it knows of, until the cluster has taken it in. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../../configs/config.js';
import type { Configuration } from '../../membership/configuration.js';
import { StorageError } from '../../persistence/errors.js';
import type { ControlClient } from '../rpc/control.js';
import { isDepartedRefusal } from '../rpc/errors.js';
import type { Roster } from '../rpc/identity.js';
import { CLUSTER_METHODS, readJoinAnswer } from '../rpc/membership-wire.js';
import { addressesOf } from '../starting.js';
import { DepartedError } from './departed.js';
import type { JoinAnswer } from './joining.js';

export interface FindClusterOptions {
  readonly config: Config;
  readonly roster: Roster;
  readonly control: Pick<ControlClient, 'callAddress'>;
  readonly logger: Logger;
  /** Told what is waited for, in one line. */
  readonly waitFor: (what: string) => void;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** RPC addresses of members; asked for anew each time round. */
  readonly places: () => Promise<readonly string[]>;
  /** See `JoinRequest`. */
  readonly returning: boolean;
}

const ATTEMPT_TIMEOUT_MS = 1000;
const RETRY_MS = 100;
/** What is waited for is mentioned again this often. */
const REMIND_MS = 10_000;

/**
 * Resolves with a committed configuration that this node is a member of.
 *
 * @throws DepartedError when the cluster has removed this node's disk; StorageError when the cluster will not have this node
 */
export async function findCluster(options: FindClusterOptions): Promise<Configuration> {
  const { logger, waitFor, signal } = options;
  let mentioned = '';
  let mentionedAtMs = -Infinity;
  for (;;) {
    signal.throwIfAborted();
    const found = await askAll(options, false);
    if ('clusterId' in found) return found;
    waitFor(`this node waits to be taken in: ${found.why}`);
    if (found.why !== mentioned || performance.now() - mentionedAtMs >= REMIND_MS) {
      mentioned = found.why;
      mentionedAtMs = performance.now();
      logger.info({ why: found.why }, 'waiting to be taken into the cluster');
    }
    await delay(RETRY_MS, undefined, { signal });
  }
}

/** Resolves once there is a cluster with a leader. Nothing is changed by asking. */
export async function untilLed(options: FindClusterOptions): Promise<void> {
  const { logger, signal } = options;
  let mentioned = '';
  for (;;) {
    signal.throwIfAborted();
    const found = await askAll(options, true);
    if (!('why' in found) || found.isLed) return;
    if (found.why !== mentioned) logger.info({ why: found.why }, 'waiting for a cluster to rejoin');
    mentioned = found.why;
    await delay(RETRY_MS, undefined, { signal });
  }
}

/** One time round; the first answer of a leader counts. */
async function askAll(
  options: FindClusterOptions,
  probe: boolean,
): Promise<Configuration | { readonly why: string; readonly isLed: boolean }> {
  const whys: string[] = [];
  const open = [...(await placesOf(options, whys))];
  const asked = new Set<string>();
  for (let place = open.shift(); place !== undefined; place = open.shift()) {
    if (asked.has(place) || place === options.config.advertisedRpcAddr) continue;
    asked.add(place);
    try {
      const answer = await ask(options, place, probe);
      if (answer.status === 'member') return answer.configuration;
      if (answer.status === 'waiting') return { why: answer.why, isLed: true };
      if (answer.status === 'elsewhere') {
        if (answer.rpc === undefined) whys.push(`${place} knows no leader`);
        else if (!asked.has(answer.rpc)) open.unshift(answer.rpc);
      }
    } catch (error) {
      if (error instanceof DepartedError || error instanceof StorageError) throw error;
      whys.push(error instanceof Error ? error.message : String(error));
    }
  }
  const why = whys.length === 0 ? 'no address of a member is known' : whys.join('; ');
  return { why, isLed: false };
}

async function placesOf({ places }: FindClusterOptions, whys: string[]): Promise<readonly string[]> {
  try {
    return await places();
  } catch (error) {
    whys.push(error instanceof Error ? error.message : String(error));
    return [];
  }
}

async function ask(options: FindClusterOptions, place: string, probe: boolean): Promise<JoinAnswer> {
  const { config, roster, control, returning } = options;
  const { nodeID, dataDir } = config.raft;
  const params = {
    cluster: roster.clusterName,
    clusterId: roster.clusterId() ?? null,
    from: roster.self(),
    returning,
    probe,
    ...addressesOf(config),
  };
  try {
    const answer = readJoinAnswer(
      await control.callAddress(place, CLUSTER_METHODS.join, params, ATTEMPT_TIMEOUT_MS),
    );
    if (answer.status === 'departed') throw new DepartedError(nodeID, dataDir);
    if (answer.status === 'refused') {
      throw new StorageError('unusable', `${config.source}: ${nodeID} can't join: ${answer.why}`);
    }
    return answer;
  } catch (error) {
    throw isDepartedRefusal(error) ? new DepartedError(nodeID, dataDir) : error;
  }
}
