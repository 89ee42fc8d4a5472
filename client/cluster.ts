/** Calls about the cluster itself. */

import { PATHS } from '../api/paths.js';
import type { ClusterStatusResponse, MemberStatus, SnapshotResponse } from '../api/types.js';
import { invalidArgument } from './errors.js';
import type { Answer } from './failure.js';
import type { Operation } from './operation.js';
import { checkOptions, count, refuseUnknown, type CallOptions } from './options.js';
import type { ChangeResult, Cluster, LogEntry, NewMember, SnapshotResult } from './surface.js';
import type { View } from './view.js';

const MEMBER_FIELDS = ['id', 'raft', 'rpc', 'http', 'voter'];

export function createCluster(view: View<unknown>): Cluster {
  const read = async <T>(path: string, options: CallOptions, reader: (answer: Answer) => T): Promise<T> => {
    checkOptions('plain', options);
    return view.call({ isWrite: false, method: 'GET', route: 'leader', path, read: reader }, options);
  };
  const change = async <T>(
    request: Pick<Operation<unknown>, 'method' | 'path' | 'body'>,
    options: CallOptions,
    reader: (answer: Answer) => T,
  ): Promise<T> => {
    checkOptions('plain', options);
    const operation = {
      ...request,
      isWrite: true,
      isUnguarded: true,
      route: 'leader',
      statuses: [200, 202],
    } as const;
    return view.call({ ...operation, read: reader }, options);
  };
  return Object.freeze<Cluster>({
    status: (options = {}) => read(PATHS.clusterStatus, options, statusOf),
    members: (options = {}) => read(PATHS.members, options, membersOf),
    addMember: async (member, options = {}) =>
      change({ method: 'POST', path: PATHS.members, body: memberOf(member) }, options, changeOf),
    removeMember: async (id, options = {}) =>
      change({ method: 'DELETE', path: memberPath(id) }, options, changeOf),
    promote: async (id, options = {}) =>
      change({ method: 'POST', path: `${memberPath(id)}/promote` }, options, changeOf),
    transferLeadership: async (to, options = {}) =>
      change(
        { method: 'POST', path: PATHS.transfer, body: to === undefined ? {} : { to: nodeId(to) } },
        options,
        changeOf,
      ),
    log: async (limit, options = {}) => {
      const query = count('limit', limit) === undefined ? '' : `?limit=${String(limit)}`;
      return read(PATHS.clusterLog + query, options, entriesOf);
    },
    snapshot: (options = {}) => change({ method: 'POST', path: PATHS.snapshot }, options, snapshotOf),
  });
}

function memberOf(member: NewMember): NewMember {
  refuseUnknown(member, MEMBER_FIELDS, 'member.');
  for (const field of ['id', 'raft', 'rpc', 'http'] as const) {
    const value: unknown = member[field];
    if (typeof value === 'string' && value !== '') continue;
    throw invalidArgument(`member.${field}`, `member.${field} must be a string that is not empty`);
  }
  return member;
}

function nodeId(id: unknown): string {
  if (typeof id === 'string' && id !== '') return id;
  throw invalidArgument('id', 'id must be the id of a node: a string that is not empty');
}

function memberPath(id: string): string {
  return `${PATHS.members}/${encodeURIComponent(nodeId(id))}`;
}

function changeOf(answer: Answer): ChangeResult {
  if (answer.kind !== 'ok') throw new Error('it does not say what became of the change');
  const { waitingFor } = answer.body;
  if (waitingFor === undefined) return { done: true };
  return {
    done: false,
    waitingFor: typeof waitingFor === 'string' ? waitingFor : JSON.stringify(waitingFor),
  };
}

function snapshotOf(answer: Answer): SnapshotResult {
  const change = changeOf(answer);
  if (!change.done) return change;
  if (answer.kind !== 'ok' || typeof answer.body['id'] !== 'string') throw new Error('it is not a snapshot');
  return { done: true, snapshot: answer.body as unknown as SnapshotResponse };
}

// The server's own types, shared through api/.
const membersOf = (answer: Answer) => arrayOf(answer, 'members') as readonly MemberStatus[];
const entriesOf = (answer: Answer) => arrayOf(answer, 'entries') as readonly LogEntry[];

/** The items of the named field. */
function arrayOf(answer: Answer, field: string): readonly unknown[] {
  const items: unknown = answer.kind === 'ok' ? answer.body[field] : undefined;
  if (!Array.isArray(items)) throw new Error(`the ${field} are missing`);
  return items;
}

function statusOf(answer: Answer): ClusterStatusResponse {
  if (
    answer.kind !== 'ok' ||
    typeof answer.body['id'] !== 'string' ||
    !Array.isArray(answer.body['members'])
  ) {
    throw new Error('it is not the status of a cluster');
  }
  // The server's own type, shared through api/; the two fields that this package and its users lean on are checked.
  return answer.body as unknown as ClusterStatusResponse;
}
