/**
 * Consensus messages as JSON-RPC: params of a request, result of a response. What comes in is looked at as a whole before
 * any of it reaches the core; a fault is -32602 with the field's name, and changes nothing.
 */

import { z } from 'zod';
import type { NodeId } from '../../membership/configuration.js';
import type { Entry } from '../../raft/entry.js';
import type { Request, Response, SnapshotChunk } from '../../raft/messages.js';
import { firstFault, invalidParams } from './errors.js';
import { isRecord } from './dispatch.js';
import { ENVELOPE_FIELDS } from './identity.js';
import type { Envelope } from './identity.js';

/** The method that carries each kind of request. */
export const RAFT_METHODS = Object.freeze({
  preVote: 'raft.preVote',
  requestVote: 'raft.requestVote',
  appendEntries: 'raft.appendEntries',
  heartbeat: 'raft.heartbeat',
  installSnapshot: 'raft.installSnapshot',
  timeoutNow: 'raft.timeoutNow',
} satisfies Record<Request['type'], string>);

/** Entries in one call, at most; their bytes are bounded by the frame. */
export const ENTRIES_MAX = 65_536;

// Zod's `int` is the safe integers: beyond 2^53 two terms could look equal.
const counter = z.int().nonnegative();

const checksum = z.int().nonnegative().max(0xffff_ffff);

const SNAPSHOT_ID_CHARS_MAX = 128;

const entrySchema = z.strictObject({
  index: counter,
  term: counter,
  type: z.enum(['command', 'noop', 'configuration']),
  data: z.string(),
});

/** The fields of each request, beside the envelope's. */
export const requestShapes = {
  preVote: { term: counter, lastIndex: counter, lastTerm: counter },
  requestVote: { term: counter, lastIndex: counter, lastTerm: counter, transfer: z.boolean() },
  appendEntries: {
    term: counter,
    prevIndex: counter,
    prevTerm: counter,
    entries: z.array(entrySchema).max(ENTRIES_MAX),
    commit: counter,
  },
  heartbeat: { term: counter, commit: counter, round: counter },
  installSnapshot: {
    term: counter,
    snapshot: z.strictObject({ index: counter, term: counter }),
    snapshotId: z.string().min(1).max(SNAPSHOT_ID_CHARS_MAX),
    bytesTotal: counter,
    offset: counter,
    data: z.string(),
    checksum,
  },
  timeoutNow: { term: counter },
} as const;

type WireEntry = z.infer<typeof entrySchema>;

const isCounter = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/** What the schemas accept, looked at by hand: an entry takes a tenth of the time so. Whatever is not accepted here is left to them. */
export const quickFields = {
  appendEntries: (params: Record<string, unknown>) => {
    const { term, prevIndex, prevTerm, entries, commit } = params;
    if (Object.keys(params).length !== ENVELOPE_FIELDS + 5) return undefined;
    if (!isCounter(term) || !isCounter(prevIndex) || !isCounter(prevTerm) || !isCounter(commit))
      return undefined;
    if (!Array.isArray(entries) || entries.length > ENTRIES_MAX || !entries.every(isWireEntry))
      return undefined;
    return { term, prevIndex, prevTerm, entries, commit };
  },
  heartbeat: (params: Record<string, unknown>) => {
    const { term, commit, round } = params;
    if (Object.keys(params).length !== ENVELOPE_FIELDS + 3) return undefined;
    return isCounter(term) && isCounter(commit) && isCounter(round) ? { term, commit, round } : undefined;
  },
};

function isWireEntry(value: unknown): value is WireEntry {
  if (!isRecord(value) || Object.keys(value).length !== 4) return false;
  const { index, term, type, data } = value;
  const isKnown = type === 'command' || type === 'noop' || type === 'configuration';
  return isKnown && typeof data === 'string' && isCounter(index) && isCounter(term);
}

function encodeEntry(entry: Entry): WireEntry {
  const { index, term, type, data } = entry;
  return { index, term, type, data: base64Of(data) };
}

function base64Of(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString('base64');
}

/** The params of the call that carries `message`. */
export function encodeRequest(message: Request, envelope: Envelope): object {
  const { cluster, clusterId, from, to } = envelope;
  const base = { cluster, clusterId, from, to, term: message.term };
  switch (message.type) {
    case 'preVote':
      return { ...base, lastIndex: message.lastIndex, lastTerm: message.lastTerm };
    case 'requestVote': {
      const { lastIndex, lastTerm, transfer } = message;
      return { ...base, lastIndex, lastTerm, transfer };
    }
    case 'appendEntries': {
      const { prevIndex, prevTerm, commit } = message;
      return { ...base, prevIndex, prevTerm, entries: message.entries.map(encodeEntry), commit };
    }
    case 'heartbeat':
      return { ...base, commit: message.commit, round: message.round };
    case 'installSnapshot': {
      const { snapshot, chunk } = message;
      return { ...base, snapshot, ...chunk, data: base64Of(chunk.data) };
    }
    case 'timeoutNow':
      return base;
  }
}

/**
 * Bytes of `base64`; undefined when it is not that. Node's decoder skips what it does not know, so what is
 * not base64 comes out shorter than it should.
 */
function decodeBase64(base64: string): Buffer | undefined {
  if (base64.length % 4 !== 0) return undefined;
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(base64, 'base64');
  return bytes.length === (base64.length / 4) * 3 - padding ? bytes : undefined;
}

interface Prefix {
  readonly term: number;
  readonly prevIndex: number;
  readonly prevTerm: number;
}

/**
 * The entries of an AppendEntries. Throws -32602 unless they follow `prevIndex` without a gap, with terms that never go
 * back and never pass the sender's: no leader sends anything else (§5.3), and the log could not hold it.
 */
export function decodeEntries(wire: readonly WireEntry[], { term, prevIndex, prevTerm }: Prefix): Entry[] {
  let last = prevTerm;
  if (prevTerm > term) throw invalidParams('prevTerm', `must not be above the term ${term}`);
  return wire.map((entry, i) => {
    const at = `entries.${i}`;
    if (entry.index !== prevIndex + 1 + i) throw invalidParams(`${at}.index`, `must be ${prevIndex + 1 + i}`);
    if (entry.term < last || entry.term > term) {
      throw invalidParams(`${at}.term`, `must be between ${last} and ${term}`);
    }
    last = entry.term;
    const data = decodeBase64(entry.data);
    if (data === undefined) throw invalidParams(`${at}.data`, 'must be base64');
    return { index: entry.index, term: entry.term, type: entry.type, data };
  });
}

/** The chunk of an InstallSnapshot. Throws -32602 when its data are no base64, or reach beyond the file's end. */
export function decodeChunk(wire: Omit<SnapshotChunk, 'data'> & { readonly data: string }): SnapshotChunk {
  const { snapshotId, bytesTotal, offset, checksum: sum } = wire;
  const data = decodeBase64(wire.data);
  if (data === undefined) throw invalidParams('data', 'must be base64');
  if (offset + data.length > bytesTotal) throw invalidParams('offset', `must not lead beyond ${bytesTotal}`);
  return { snapshotId, bytesTotal, offset, data, checksum: sum };
}

/** The result that carries `message`; who sent it is known from the call. */
export function encodeResponse(message: Response): object {
  const { term } = message;
  switch (message.type) {
    case 'preVoteResponse':
    case 'requestVoteResponse':
      return { term, granted: message.granted };
    case 'appendEntriesResponse': {
      const { success, index, hintIndex, hintTerm, lostEnd } = message;
      return { term, success, index, hintIndex, hintTerm, ...(lostEnd && { lostEnd }) };
    }
    case 'heartbeatResponse':
      return {
        term,
        round: message.round,
        needsSnapshot: message.needsSnapshot,
        ...(message.lostEnd && { lostEnd: message.lostEnd }),
      };
    case 'installSnapshotResponse': {
      const { snapshotId, offset, refusal, stale, index } = message;
      return { term, snapshotId, offset, ...(refusal && { refusal }), ...(stale && { stale }), index };
    }
  }
}

const voteResult = z.strictObject({ term: counter, granted: z.boolean() });

const lostEnd = z.literal(true).exactOptional();

const appendResult = z.strictObject({
  term: counter,
  success: z.boolean(),
  index: counter,
  hintIndex: counter,
  hintTerm: counter,
  lostEnd,
});

const heartbeatResult = z.strictObject({ term: counter, round: counter, needsSnapshot: counter, lostEnd });

const chunkResult = z.strictObject({
  term: counter,
  snapshotId: z.string().max(SNAPSHOT_ID_CHARS_MAX),
  offset: counter,
  refusal: z.enum(['unknown', 'older', 'damaged', 'failed', 'malformed']).exactOptional(),
  stale: z.literal(true).exactOptional(),
  index: counter,
});

/** As `quickFields`. */
function quickAppend(result: unknown): z.infer<typeof appendResult> | undefined {
  if (!isRecord(result) || Object.keys(result).length !== 5) return undefined;
  const { term, success, index, hintIndex, hintTerm } = result;
  if (typeof success !== 'boolean' || !isCounter(term) || !isCounter(index)) return undefined;
  return isCounter(hintIndex) && isCounter(hintTerm)
    ? { term, success, index, hintIndex, hintTerm }
    : undefined;
}

function quickHeartbeat(result: unknown): z.infer<typeof heartbeatResult> | undefined {
  if (!isRecord(result) || Object.keys(result).length !== 3) return undefined;
  const { term, round, needsSnapshot } = result;
  return isCounter(term) && isCounter(round) && isCounter(needsSnapshot)
    ? { term, round, needsSnapshot }
    : undefined;
}

function parsed<T>(schema: z.ZodType<T>, result: unknown): T {
  const outcome = schema.safeParse(result);
  if (outcome.success) return outcome.data;
  const { field, message } = firstFault(outcome.error);
  throw new Error(`the result is not valid: ${field}: ${message}`);
}

/**
 * The message that `result` is in answer to a request of `type`; undefined for one that has no answer. Throws when the
 * result is not what it should be.
 */
export function decodeResponse(
  type: Request['type'],
  result: unknown,
  from: NodeId,
  to: NodeId,
): Response | undefined {
  switch (type) {
    case 'preVote':
      return { type: 'preVoteResponse', from, to, ...parsed(voteResult, result) };
    case 'requestVote':
      return { type: 'requestVoteResponse', from, to, ...parsed(voteResult, result) };
    case 'appendEntries':
      return {
        type: 'appendEntriesResponse',
        from,
        to,
        ...(quickAppend(result) ?? parsed(appendResult, result)),
      };
    case 'heartbeat':
      return {
        type: 'heartbeatResponse',
        from,
        to,
        ...(quickHeartbeat(result) ?? parsed(heartbeatResult, result)),
      };
    case 'installSnapshot':
      return { type: 'installSnapshotResponse', from, to, ...parsed(chunkResult, result) };
    case 'timeoutNow':
      return undefined;
  }
}
