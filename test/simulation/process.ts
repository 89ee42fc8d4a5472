/** What runs on a simulated machine on top of its node, put together as `server/serving.ts` and `server/start.ts` do it. */

import type { StateStore } from '../../persistence/state-store.js';
import { Leadership } from '../../server/leadership.js';
import { Members } from '../../server/members/members.js';
import { keepPlace } from '../../server/members/place.js';
import { promoteLearners } from '../../server/members/promoter.js';
import type { Node } from '../../server/node.js';
import type { Clock } from '../../server/ports.js';
import { TICK_MS } from '../../server/raft-settings.js';
import { ReadIndexes } from '../../server/read-indexes.js';
import { Reader } from '../../server/reader.js';
import { controlMethods } from '../../server/rpc/control-methods.js';
import type { Methods } from '../../server/rpc/dispatch.js';
import { createLeaderLink } from '../../server/rpc/forwarding.js';
import type { Roster } from '../../server/rpc/identity.js';
import { CLUSTER_STATUS_METHOD } from '../../server/rpc/kv-wire.js';
import { membershipMethods } from '../../server/rpc/membership-methods.js';
import { StatusReport } from '../../server/status.js';
import { StoreService } from '../../server/store-service.js';
import { sweep } from '../../server/sweeper.js';
import type { ControlPlane } from './control-plane.js';
import { CLUSTER_NAME, addressesOf } from './control-plane.js';
import type { SessionSettings } from './settings.js';

const REQUEST_TIMEOUT_MS = 2000;
const PROMOTE_EVERY_MS = 50;

export interface ProcessParts {
  readonly node: Node;
  readonly clock: Clock;
  readonly roster: Roster;
  readonly control: ControlPlane;
  readonly state: StateStore;
  readonly sessions: SessionSettings;
  /** The cluster has removed this node. */
  readonly departed: () => void;
}

export interface Process {
  readonly service: StoreService;
  readonly methods: Methods;
}

export function assemble(parts: ProcessParts): Process {
  const { node, clock, roster, control, state, sessions } = parts;
  const { id } = roster.self();
  const leadership = new Leadership(node, { leaderWaitMs: 1200, retryMs: 50 });
  const link = createLeaderLink(control, clock);
  const indexes = (lease: boolean): ReadIndexes =>
    new ReadIndexes(node, clock, leadership, link, { lease, timeoutMs: REQUEST_TIMEOUT_MS });
  // Newcomers ask by themselves.
  const greet = (): Promise<never> => Promise.reject(new Error('nobody listens'));
  const members = new Members({ node, tickMs: TICK_MS, greet });
  const report = new StatusReport(node, clock, {
    addresses: addressesOf(id),
    cluster: CLUSTER_NAME,
    version: '0',
    tickMs: TICK_MS,
    unreachableAfterMs: 300,
    versionOf: () => undefined,
    bytesBetween: () => 0,
    underWay: () => members.underWay(),
  });
  const service = new StoreService({
    node,
    logStore: { read: () => undefined },
    clock,
    leadership,
    link,
    readIndexes: indexes(false),
    leaseIndexes: indexes(true),
    reader: new Reader(state, clock, node),
    report,
    members,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    sessions,
  });
  sweep(node, state, clock, { sessionsEveryMs: 700 });
  promoteLearners(node, clock, PROMOTE_EVERY_MS);
  keepPlace({
    node,
    clock,
    incarnation: roster.self().incarnation,
    addresses: addressesOf(id),
    change: (request) => service.changeCluster(request),
    greet: (member) => control.call(member.id, CLUSTER_STATUS_METHOD, {}, REQUEST_TIMEOUT_MS),
    departed: parts.departed,
    // It is tried again.
    failed: () => undefined,
  });
  const methods = {
    ...controlMethods({
      roster,
      clock,
      node: () => node,
      status: () => report.cluster(),
      valueBytesMax: 1024,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    }),
    ...membershipMethods({
      roster,
      clock,
      node: () => node,
      members: () => members,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    }),
  };
  return { service, methods };
}
