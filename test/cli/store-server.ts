/**
 * A node made of a Map, behind a scripted server, which grants the sessions: enough of the HTTP interface for the
 * command line.
 */

import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { ErrorCode } from '../../api/errors.js';
import type { ClusterStatusResponse, WireValue } from '../../api/types.js';
import { progressComment } from '../../api/watch-progress.js';
import { ok, problem, type Seen, type Step } from '../client/scripted-server.js';

interface TxnRequest {
  readonly checks?: readonly { readonly key: string; readonly revision: string | null }[];
  readonly ops?: readonly Fields[];
}

export interface Stored {
  readonly value: Buffer;
  readonly revision: number;
  readonly ttlMs?: number;
}

interface Change {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly revision: number;
  readonly stored?: Stored;
  readonly reason?: 'expired';
}

export interface Store {
  readonly entries: Map<string, Stored>;
  /** Writes carried out, repeats not counted. */
  readonly sets: () => number;
  /** Answers every request from the Map. */
  readonly step: Step;
  /** The time of this key is over. */
  expire(key: string): void;
  /** Tells every watch how far it has come. */
  tellProgress(): void;
  /** Breaks every watch. */
  breakWatches(): void;
  /** Ends every watch once all was sent. */
  endWatches(): void;
  /** Forgets the history up to here. */
  compact(): void;
  /** Sets of these keys are refused. */
  readonly refusals: Map<string, ErrorCode>;
  /** Requests for a watch so far. */
  readonly watches: Seen[];
}

type Fields = Record<string, unknown> & { readonly key: string; readonly op?: string };

export function createStore(): Store {
  const entries = new Map<string, Stored>();
  /** The first results of writes, by session and number. */
  const results = new Map<string, Step>();
  const refusals = new Map<string, ErrorCode>();
  const watches: Seen[] = [];
  const watchers = new Map<ServerResponse, (change: Change) => void>();
  let history: Change[] = [];
  let oldest = 1;
  let revision = 0;

  const record = (change: Change) => {
    history.push(change);
    for (const tell of watchers.values()) tell(change);
  };

  const get = (key: string): Step => {
    const stored = entries.get(key);
    return stored === undefined ? problem('key-not-found') : ok(document(key, stored));
  };

  const mismatch = ({ key, ifAbsent, ifRevision }: Fields): Step | undefined => {
    const current = entries.get(key);
    const holds =
      (ifAbsent !== true || current === undefined) &&
      (ifRevision === undefined || ifRevision === String(current?.revision));
    const currentRevision = current === undefined ? null : String(current.revision);
    return holds ? undefined : problem('revision-mismatch', { body: { currentRevision } });
  };

  const put = ({ key, value, valueBase64, ttlMs }: Fields) => {
    const bytes =
      typeof value === 'string' ? Buffer.from(value) : Buffer.from(valueBase64 as string, 'base64');
    const stored = { value: bytes, revision, ...(typeof ttlMs === 'number' ? { ttlMs } : {}) };
    entries.set(key, stored);
    record({ type: 'put', key, revision, stored });
  };

  const drop = (key: string, reason?: 'expired'): boolean => {
    const deleted = entries.delete(key);
    if (deleted) record({ type: 'delete', key, revision, ...(reason === undefined ? {} : { reason }) });
    return deleted;
  };

  const set = (fields: Fields): Step => {
    const code = refusals.get(fields.key);
    const refused = code === undefined ? mismatch(fields) : problem(code);
    if (refused !== undefined) return refused;
    revision += 1;
    put(fields);
    return ok({ success: true, key: fields.key, revision: String(revision) });
  };

  const remove = (fields: Fields): Step => {
    const refused = mismatch(fields);
    if (refused !== undefined) return refused;
    revision += 1;
    const deleted = drop(fields.key);
    const status = deleted ? 'deleted' : 'not-found';
    return ok({ success: true, key: fields.key, deleted, status, revision: String(revision) });
  };

  const removePrefix = (prefix: string): Step => {
    revision += 1;
    const keys = [...entries.keys()].filter((key) => key.startsWith(prefix));
    for (const key of keys) drop(key);
    return ok({ deleted: keys.length, revision: String(revision) });
  };

  const transact = ({ checks = [], ops = [] }: TxnRequest): Step => {
    const failed = checks.filter(
      ({ key, revision: wanted }) => (entries.get(key)?.revision.toString() ?? null) !== wanted,
    );
    if (failed.length > 0) {
      return problem('check-failed', { body: { succeeded: false, failed: failed.map(({ key }) => key) } });
    }
    revision += 1;
    for (const op of ops) {
      if (op.op === 'set') put({ ...op });
      else if (op.op === 'delete') drop(op.key);
    }
    return ok({ succeeded: true, revision: String(revision), results: ops.map(() => null) });
  };

  const list = (query: URLSearchParams): Step => {
    const after = query.get('cursor');
    // Small pages: there must be several of them.
    const limit = Math.min(Number(query.get('limit')), 7);
    const direction = query.get('reverse') === 'true' ? -1 : 1;
    const order = (a: string, b: string) => direction * Buffer.compare(Buffer.from(a), Buffer.from(b));
    const keys = [...entries.keys()]
      .filter((key) => key.startsWith(query.get('prefix') ?? ''))
      .filter(
        (key) => key >= (query.get('start') ?? '') && (query.get('end') === null || key < query.get('end')!),
      )
      .sort(order)
      .filter((key) => after === null || order(key, after) > 0);
    const page = keys.slice(0, limit);
    return ok({
      entries: page.map((key) => document(key, entries.get(key)!)),
      cursor: keys.length > limit ? page.at(-1) : null,
      revision: String(revision),
    });
  };

  const once = (session: string | undefined, write: () => Step): Step => {
    if (session === undefined)
      return problem('bad-request', { body: { detail: 'a write without a session' } });
    const number = session.slice(0, session.lastIndexOf('/'));
    const result = results.get(number) ?? write();
    results.set(number, result);
    return result;
  };

  const pipeline = (ops: readonly Fields[]): Step =>
    ok({
      results: ops.map((op) => {
        const session = op['session'] as string | undefined;
        const step =
          op.op === 'get' ? get(op.key) : once(session, () => (op.op === 'set' ? set(op) : remove(op)));
        const { status, body } = captured(step);
        return status === 200 ? { status, result: body } : { status, error: body };
      }),
    });

  const watch =
    (seen: Seen): Step =>
    (response) => {
      watches.push(seen);
      const [last, n] = (seen.lastEventId ?? '').split('.').map(Number);
      const resumed = n === 0 ? last : Number(last) + 1;
      const from = n === undefined ? Number(seen.query.get('fromRevision')) : Number(resumed);
      if (from < oldest) {
        problem('revision-compacted', { body: { oldestRevision: String(oldest) } })(
          response,
          seen,
          response.socket!,
        );
        return;
      }
      const key = seen.query.get('key');
      const prefix = seen.query.get('prefix') ?? '';
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': hello\n\n');
      const tell = (change: Change) => {
        if (change.revision < from) return;
        if (key === null ? !change.key.startsWith(prefix) : change.key !== key) return;
        response.write(eventText(change));
      };
      for (const change of history) tell(change);
      watchers.set(response, tell);
      response.on('close', () => watchers.delete(response));
    };

  const route = (seen: Seen): Step => {
    const { method, path, query, session, body } = seen;
    const key = query.get('key') ?? '';
    if (path === '/get') return get(key);
    if (path === '/set') return once(session, () => set(body as Fields));
    if (path === '/txn') return once(session, () => transact(body as TxnRequest));
    if (path === '/pipeline') return pipeline((body as { ops: Fields[] }).ops);
    if (path === '/watch') return watch(seen);
    if (path === '/kv' && method === 'DELETE') {
      return once(session, () => removePrefix(query.get('prefix') ?? ''));
    }
    if (path === '/kv') return list(query);
    if (path === '/cluster/status') return ok(STATUS);
    if (path === '/cluster/log') {
      return ok({ entries: [{ index: 9, term: 3, type: 'set', size: 40, key: query.get('limit') }] });
    }
    if (path === '/cluster/members' && method === 'GET') return ok({ members: STATUS.members });
    if (path === '/snapshot') return ok({ id: 'snap', index: 7, term: 2, bytes: 90, node: 'n1' });
    if (path.startsWith('/cluster/members') || path === '/cluster/transfer') {
      return ok({ method, path, body });
    }
    if (path === '/delete') {
      return once(session, () => remove({ key, ifRevision: query.get('ifRevision') ?? undefined }));
    }
    return problem('no-such-route');
  };

  return {
    entries,
    sets: () => revision,
    step: (response, seen, socket) => route(seen)(response, seen, socket),
    expire(key) {
      revision += 1;
      drop(key, 'expired');
    },
    tellProgress() {
      for (const response of watchers.keys()) {
        response.write(`: ${progressComment(revision + 1)}\nid: ${revision + 1}.0\n\n`);
      }
    },
    breakWatches() {
      for (const response of watchers.keys()) response.destroy();
    },
    endWatches() {
      for (const response of watchers.keys()) response.end();
    },
    compact() {
      history = [];
      oldest = revision + 1;
    },
    refusals,
    watches,
  };
}

/** What a step would have answered. */
function captured(step: Step): { readonly status: number; readonly body: unknown } {
  let status = 0;
  let text = '';
  const response = {
    writeHead: (code: number) => (status = code),
    end: (body: string) => (text = body),
  };
  step(response as unknown as ServerResponse, {} as Seen, new Socket());
  return { status, body: JSON.parse(text) as unknown };
}

function eventText({ type, key, revision, stored, reason }: Change): string {
  const value = stored === undefined ? {} : document(key, stored);
  const data = JSON.stringify({ ...value, type, key, revision: String(revision), n: 1, of: 1, reason });
  return `event: ${type}\nid: ${revision}.1\ndata: ${data}\n\n`;
}

const UNSEEN = { raft: 'h:1', rpc: 'h:2', snapshot: null, receivesSnapshot: null, version: null };

const STATUS: Pick<
  ClusterStatusResponse,
  'id' | 'cluster' | 'term' | 'commitIndex' | 'isLeader' | 'leaderId' | 'leader' | 'members' | 'waitingFor'
> = {
  id: 'n1',
  cluster: 'demo',
  term: 3,
  commitIndex: 12,
  isLeader: true,
  leaderId: 'n1',
  leader: { id: 'n1', http: '127.0.0.1:8080' },
  waitingFor: null,
  members: [
    {
      ...UNSEEN,
      id: 'n1',
      role: 'leader',
      http: '127.0.0.1:8080',
      voter: true,
      matchIndex: 12,
      lagEntries: 0,
      lagBytes: 0,
      lastContactMs: 0,
      reachable: true,
      snapshot: { phase: 'making', bytes: 7, totalBytes: null },
      version: '1.2.3',
    },
    {
      ...UNSEEN,
      id: 'n2',
      role: 'unknown',
      http: '127.0.0.1:8090',
      voter: true,
      matchIndex: null,
      lagEntries: null,
      lagBytes: null,
      lastContactMs: null,
      reachable: false,
    },
  ],
};

function document(key: string, { value, revision, ttlMs }: Stored): object {
  const text = value.toString('utf8');
  const wire: WireValue = Buffer.from(text).equals(value)
    ? { value: text }
    : { valueBase64: value.toString('base64') };
  return { key, ...wire, revision: String(revision), ...(ttlMs === undefined ? {} : { ttlMs }) };
}
