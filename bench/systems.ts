/** The systems that are measured: how each takes the same work over HTTP, and how its answers are judged. */

import { z } from 'zod';
import { PATHS } from '../api/paths.js';
import type { Consistency } from '../api/types.js';
import { ask, quorumkv, type ClusterNode, type Product } from './cluster.js';
import { base64, etcd } from './etcd.js';
import { KEY_MARK, keyAt, type Data, type RequestForm, type Workload } from './workloads.js';

export const PEERS = ['etcd'] as const;
export type SystemName = 'quorumkv' | (typeof PEERS)[number];

export interface System {
  readonly name: SystemName;
  readonly product: Product;
  /** Keys are written so into requests. */
  readonly keyEncoding: 'plain' | 'base64';
  /** Bytes of an answer to a read, at least: a shorter one does not hold the value. */
  readonly answerBytesMin: (valueBytes: number) => number;
  readonly put: (data: Data) => RequestForm;
  /** Undefined: it has nothing that can be compared. */
  readonly get: (workload: Workload) => RequestForm | undefined;
  /** Sets the keys from `first` to before `end` in one request. */
  readonly load: (first: number, end: number, data: Data) => RequestForm;
  /** Keys in one such request, at most. */
  readonly loadMax: number;
  /** The value in the answer to a read. */
  readonly valueOf: (answer: string) => string | undefined;
  /** How far a node has come in the log that all share. */
  readonly position: (node: ClusterNode) => Promise<number>;
  /** A number that grows by one at least with every write that a node has, since its start. */
  readonly revision: (node: ClusterNode) => Promise<number>;
}

const CONSISTENCIES: Readonly<Record<Workload, Consistency>> = {
  put: 'linearizable',
  get: 'linearizable',
  lease: 'lease',
  stale: 'stale',
  mix: 'linearizable',
  'sdk-put': 'linearizable',
  'sdk-get': 'linearizable',
};

const ourEntry = z.object({ value: z.string() });
const ourStatus = z.object({ lastApplied: z.number() });

function ours(nodeFlags: readonly string[]): System {
  return {
    name: 'quorumkv',
    product: quorumkv(nodeFlags),
    keyEncoding: 'plain',
    answerBytesMin: (valueBytes) => valueBytes,
    put: ({ value }) => ({
      method: 'POST',
      path: PATHS.set,
      body: JSON.stringify({ key: KEY_MARK, value }),
    }),
    get(workload) {
      const consistency = CONSISTENCIES[workload];
      const suffix = consistency === 'linearizable' ? '' : `&consistency=${consistency}`;
      return { method: 'GET', path: `${PATHS.get}?key=${KEY_MARK}${suffix}` };
    },
    load: (first, end, { value }) => ({
      method: 'POST',
      path: PATHS.txn,
      body: JSON.stringify({
        checks: [],
        ops: range(first, end).map((index) => ({ op: 'set', key: keyAt(index), value })),
      }),
    }),
    loadMax: 500,
    valueOf: (answer) => ourEntry.parse(JSON.parse(answer)).value,
    async position(node) {
      return ourStatus.parse(JSON.parse(await answerOf(node, PATHS.status))).lastApplied;
    },
    async revision(node) {
      // Writes that wait together share a revision.
      const text = await answerOf(node, PATHS.metrics);
      const count = /^kv_commands_applied_total (\d+)$/m.exec(text)?.[1];
      if (count === undefined) throw new Error('the metrics do not say how many commands were applied');
      return Number(count);
    },
  };
}

/** A server that was just under load may need more than one look. */
const LOOKS = 5;

async function answerOf(node: ClusterNode, where: string, body?: string): Promise<string> {
  let reason = '';
  for (let look = 1; look <= LOOKS; look += 1) {
    const { ok, text } = await ask(node, where, body);
    if (ok) return text;
    reason = text;
  }
  throw new Error(`${node.id} did not answer ${where}: ${reason}`);
}

const etcdRange = z.object({
  header: z.object({ revision: z.string().transform(Number) }),
  kvs: z.array(z.object({ value: z.string() })).optional(),
});
const RANGE = '/v3/kv/range';

const etcdSystem: System = {
  name: 'etcd',
  product: etcd,
  keyEncoding: 'base64',
  answerBytesMin: (valueBytes) => Math.ceil(valueBytes / 3) * 4,
  put: ({ value }) => ({
    method: 'POST',
    path: '/v3/kv/put',
    body: JSON.stringify({ key: MARK64, value: base64(value) }),
  }),
  get(workload) {
    if (workload === 'lease') return undefined;
    const serializable = CONSISTENCIES[workload] === 'stale' ? { serializable: true } : {};
    return { method: 'POST', path: RANGE, body: JSON.stringify({ key: MARK64, ...serializable }) };
  },
  load(first, end, { value }) {
    const value64 = base64(value);
    const success = range(first, end).map((index) => ({
      requestPut: { key: base64(keyAt(index)), value: value64 },
    }));
    return { method: 'POST', path: '/v3/kv/txn', body: JSON.stringify({ success }) };
  },
  // Its default for --max-txn-ops.
  loadMax: 128,
  valueOf(answer) {
    const [entry] = etcdRange.parse(JSON.parse(answer)).kvs ?? [];
    return entry && Buffer.from(entry.value, 'base64').toString();
  },
  position: (node) => etcdSystem.revision(node),
  async revision(node) {
    const text = await answerOf(node, RANGE, JSON.stringify({ key: base64('none') }));
    return etcdRange.parse(JSON.parse(text)).header.revision;
  },
};

/** A key of `KEY_CHARS` has so many characters in base64, without padding. */
const MARK64 = '~'.repeat((KEY_MARK.length / 3) * 4);

/** `nodeFlags` are for the Node.js of quorumkv's servers. */
export function systemNamed(name: SystemName, nodeFlags: readonly string[] = []): System {
  return name === 'etcd' ? etcdSystem : ours(nodeFlags);
}

/** The request for one key. */
export function fill(
  { keyEncoding }: Pick<System, 'keyEncoding'>,
  form: RequestForm,
  key: string,
): RequestForm {
  const [mark, name] = keyEncoding === 'base64' ? [MARK64, base64(key)] : [KEY_MARK, key];
  const { method, path, body } = form;
  return {
    method,
    path: path.replace(mark, name),
    ...(body !== undefined && { body: body.replace(mark, name) }),
  };
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, at) => first + at);
}
