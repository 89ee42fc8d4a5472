/**
 * Throws random requests at a real node, and holds it to this: no 500 and no internal error of JSON-RPC, the process lives, its memory does not
 * grow, neither its term nor its members change, and nothing is stored of what it refused.
 */

import { Agent, request } from 'node:http';

import fc from 'fast-check';

import type { Cluster, ClusterOptions } from '../integration/cluster.js';
import { type FuzzRequest, TOKEN, anyRequest } from './requests.js';

const IN_FLIGHT = 48;
const CHUNK = 500;
const ANSWER_MS = 20_000;

/**
 * A cluster of one, which neither members nor votes of others can come to. It does not step down when it was kept from running (on a busy
 * machine): whatever changes the term is a request.
 */
export const FUZZED: ClusterOptions = { nodes: 1, raft: { loopStallTimeout: '1h', diskStallTimeout: '1h' } };

export interface FuzzOptions {
  /** As `FUZZED`. */
  readonly cluster: Cluster;
  readonly requests: number;
  readonly seed: number;
  readonly progress?: (done: number) => void;
}

export interface FuzzReport {
  readonly requests: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly rpcByCode: Readonly<Record<string, number>>;
  readonly term: number;
  readonly refusedTokens: number;
  readonly storedTokens: number;
  /** Resident, after a warm-up and at the end. */
  readonly memoryBytes: readonly [warm: number, end: number];
  /** Used by the heap, likewise. */
  readonly heapBytes: readonly [warm: number, end: number];
}

interface Run {
  readonly agent: Agent;
  readonly addresses: Readonly<Record<FuzzRequest['listener'], string>>;
  readonly byStatus: Record<string, number>;
  readonly rpcByCode: Record<string, number>;
  readonly refused: Set<string>;
}

/** @throws an Error that names the seed and the request */
export async function fuzz({ cluster, requests, seed, progress }: FuzzOptions): Promise<FuzzReport> {
  const [id = ''] = cluster.ids;
  const status = (await (await fetch(`${cluster.url(id)}/status`)).json()) as Status;
  const run: Run = {
    agent: new Agent({ keepAlive: true, maxSockets: IN_FLIGHT }),
    addresses: status.addresses,
    byStatus: {},
    rpcByCode: {},
    refused: new Set(),
  };
  const members = await membersOf(cluster.url(id));
  const arbitrary = anyRequest({ cluster: status.cluster, clusterId: status.clusterId, id });
  let warm = await memoryOf(cluster.url(id));
  for (let done = 0; done < requests; done += CHUNK) {
    const count = Math.min(CHUNK, requests - done);
    const all = fc.sample(arbitrary, { numRuns: count, seed: seed + done });
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let at = next++; at < all.length; at = next++) {
        const one = all[at];
        if (one !== undefined) await checkOne(run, one, done + at, seed + done);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    progress?.(done + count);
    if (done < requests / 3) warm = await memoryOf(cluster.url(id));
  }
  run.agent.destroy();
  const end = await memoryOf(cluster.url(id));
  const after = (await (await fetch(`${cluster.url(id)}/status`)).json()) as Status;
  if (after.term !== status.term) throw new Error(`the term went from ${status.term} to ${after.term}`);
  const membersAfter = await membersOf(cluster.url(id));
  if (membersAfter !== members) throw new Error(`the members were ${members} and are ${membersAfter}`);
  const stored = await storedTokens(cluster.url(id));
  const wrong = [...stored].filter((token) => run.refused.has(token));
  if (wrong.length > 0)
    throw new Error(`seed ${seed}: stored although refused: ${wrong.slice(0, 10).join(', ')}`);
  return {
    requests,
    byStatus: run.byStatus,
    rpcByCode: run.rpcByCode,
    term: after.term,
    refusedTokens: run.refused.size,
    storedTokens: stored.size,
    memoryBytes: [warm.resident, end.resident],
    heapBytes: [warm.heap, end.heap],
  };
}

interface Status {
  readonly addresses: { readonly http: string; readonly rpc: string; readonly raft: string };
  readonly cluster: string;
  readonly clusterId: string;
  readonly term: number;
}

async function checkOne(run: Run, one: FuzzRequest, number: number, seed: number): Promise<void> {
  const shown = (): string =>
    `request ${number} (chunk seed ${seed}): ${one.method} ${one.target} ${JSON.stringify(one.headers)} ${one.body?.toString() ?? ''}`.slice(
      0,
      2000,
    );
  const token = `#${number}#`;
  let answer: Answer;
  try {
    answer = await exchange(run, one, token);
  } catch (error) {
    throw new Error(`${String(error)}: ${shown()}`, { cause: error });
  }
  run.byStatus[answer.status] = (run.byStatus[answer.status] ?? 0) + 1;
  if (answer.status === 500 || answer.status > 507)
    throw new Error(`${answer.status} ${answer.text}: ${shown()}`);
  if (answer.status >= 400 && one.listener === 'http' && one.method !== 'HEAD') {
    const { outcome, code } = JSON.parse(answer.text) as { outcome?: string; code?: string };
    if (outcome === 'not-applied') run.refused.add(token);
    else if (outcome === undefined && !/^\/(?:health|readyz)/.test(one.target))
      throw new Error(`no outcome, code ${String(code)}: ${shown()}`);
  }
  if (one.target === '/rpc' && answer.status === 200) countRpc(run, answer.text, shown);
}

function countRpc(run: Run, text: string, shown: () => string): void {
  const parsed: unknown = JSON.parse(text);
  for (const response of Array.isArray(parsed) ? (parsed as unknown[]) : [parsed]) {
    const code = (response as { error?: { code: number } }).error?.code ?? 'result';
    run.rpcByCode[code] = (run.rpcByCode[code] ?? 0) + 1;
    if (code === -32603) throw new Error(`internal error: ${text}: ${shown()}`);
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function exchange(run: Run, one: FuzzRequest, token: string): Promise<Answer> {
  const [host, port] = run.addresses[one.listener].split(':');
  const body =
    one.body === undefined
      ? undefined
      : Buffer.from(one.body.toString('latin1').replaceAll(TOKEN, token), 'latin1');
  return new Promise((resolve, reject) => {
    const options = {
      agent: run.agent,
      host,
      port,
      method: one.method,
      path: one.target
        .replaceAll(TOKEN, encodeURIComponent(token))
        .replaceAll(encodeURIComponent(TOKEN), encodeURIComponent(token)),
      headers: { ...one.headers, ...(body !== undefined && { 'Content-Length': body.length }) },
      timeout: ANSWER_MS,
    };
    const sent = request(options, (response) => {
      const { statusCode: status = 0 } = response;
      if (response.headers['content-type'] === 'text/event-stream') {
        response.on('error', () => undefined).destroy();
        resolve({ status, text: '' });
        return;
      }
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status, text: Buffer.concat(chunks).toString() }));
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

async function memoryOf(url: string): Promise<{ resident: number; heap: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return { resident: value('process_resident_memory_bytes'), heap: value('nodejs_heap_size_used_bytes') };
}

/** Who and where they are, in one line. */
async function membersOf(url: string): Promise<string> {
  const { members } = (await (await fetch(`${url}/cluster/members`)).json()) as {
    members: { id: string; raft: string; rpc: string; http: string; voter: boolean }[];
  };
  return JSON.stringify(members.map(({ id, raft, rpc, http, voter }) => [id, raft, rpc, http, voter]));
}

/** Of all keys and values there are. */
async function storedTokens(url: string): Promise<Set<string>> {
  const found = new Set<string>();
  let cursor: string | null = '';
  do {
    const response = await fetch(`${url}/kv?cursor=${encodeURIComponent(cursor)}`);
    const page = (await response.json()) as {
      entries: { key: string; value?: string }[];
      cursor: string | null;
    };
    for (const { key, value = '' } of page.entries) {
      for (const [token] of `${key} ${value}`.matchAll(/#\d+#/g)) found.add(token);
    }
    cursor = page.cursor;
  } while (cursor !== null);
  return found;
}
