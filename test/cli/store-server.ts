/**
 * A node made of a Map, behind a scripted server, which grants the sessions: enough of the HTTP interface for the
 * command line.
 */

import type { ServerResponse } from 'node:http';
import type { SetRequest, WireValue } from '../../api/types.js';
import { ok, problem, type Seen, type Step } from '../client/scripted-server.js';

export interface Stored {
  readonly value: Buffer;
  readonly revision: number;
}

export interface Store {
  readonly entries: Map<string, Stored>;
  /** Sets carried out, repeats not counted. */
  readonly sets: () => number;
  /** Answers every request from the Map. */
  readonly step: Step;
}

export function createStore(): Store {
  const entries = new Map<string, Stored>();
  /** The first results of writes, by session and number. */
  const results = new Map<string, Step>();
  let revision = 0;

  const get = (key: string): Step => {
    const stored = entries.get(key);
    return stored === undefined ? problem('key-not-found') : ok(document(key, stored));
  };

  const set = (request: SetRequest): Step => {
    const current = entries.get(request.key);
    const mismatch =
      (request.ifAbsent === true && current !== undefined) ||
      (request.ifRevision !== undefined && request.ifRevision !== String(current?.revision));
    if (mismatch) return problem('revision-mismatch', { body: { currentRevision: '1' } });
    const value = request.value ?? Buffer.from(request.valueBase64 ?? '', 'base64');
    revision += 1;
    entries.set(request.key, { value: Buffer.from(value as string), revision });
    return ok({ success: true, key: request.key, revision: String(revision) });
  };

  const list = (query: URLSearchParams): Step => {
    const after = query.get('cursor');
    // Small pages: there must be several of them.
    const limit = Math.min(Number(query.get('limit')), 7);
    const keys = [...entries.keys()]
      .filter((key) => key.startsWith(query.get('prefix') ?? ''))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .filter((key) => after === null || Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
    const page = keys.slice(0, limit);
    return ok({
      entries: page.map((key) => document(key, entries.get(key)!)),
      cursor: keys.length > limit ? page.at(-1) : null,
      revision: String(revision),
    });
  };

  const remove = (key: string): Step => {
    const deleted = entries.delete(key);
    return ok({ success: true, key, deleted, status: deleted ? 'deleted' : 'not-found', revision: '1' });
  };

  const once = (session: string | undefined, write: () => Step): Step => {
    if (session === undefined)
      return problem('bad-request', { body: { detail: 'a write without a session' } });
    const number = session.slice(0, session.lastIndexOf('/'));
    const result = results.get(number) ?? write();
    results.set(number, result);
    return result;
  };

  const route = ({ method, path, query, session, body }: Seen): Step => {
    const key = query.get('key') ?? '';
    if (path === '/get') return get(key);
    if (path === '/set') return once(session, () => set(body as SetRequest));
    if (path === '/kv') return list(query);
    if (path === '/cluster/status') return ok(STATUS);
    return method === 'DELETE' ? once(session, () => remove(key)) : problem('no-such-route');
  };

  const step = (response: ServerResponse, seen: Seen, ...rest: [Parameters<Step>[2]]) =>
    route(seen)(response, seen, ...rest);
  return { entries, sets: () => revision, step };
}

const STATUS = {
  id: 'n1',
  cluster: 'demo',
  term: 3,
  commitIndex: 12,
  isLeader: true,
  leaderId: 'n1',
  leader: { id: 'n1', http: '127.0.0.1:8080' },
  members: [
    {
      id: 'n1',
      role: 'leader',
      http: '127.0.0.1:8080',
      voter: true,
      matchIndex: 12,
      lagEntries: 0,
      lastContactMs: 0,
      reachable: true,
    },
    {
      id: 'n2',
      role: 'unknown',
      http: '127.0.0.1:8090',
      voter: true,
      matchIndex: null,
      lagEntries: null,
      lastContactMs: null,
      reachable: false,
    },
  ],
};

function document(key: string, { value, revision }: Stored): object {
  const text = value.toString('utf8');
  const wire: WireValue = Buffer.from(text).equals(value)
    ? { value: text }
    : { valueBase64: value.toString('base64') };
  return { key, ...wire, revision: String(revision) };
}
