/** Request bodies, read by hand into one buffer: a parser as middleware was measured to cost a quarter of the throughput. */

import type { IncomingMessage } from 'node:http';

import { ServiceError } from '../service.js';
import { ClientGone, RequestError } from './request-error.js';

/** After a refusal, so much more of a body is read and dropped, so that the client gets to read the answer. */
const DRAIN_BYTES_MAX = 32 * 1024 * 1024;

/**
 * What all bodies that are still arriving may hold together. Without it, clients that send slowly could each hold the
 * longest body that is allowed.
 */
export interface BodyBudget {
  readonly bytesMax: number;
  heldBytes: number;
}

const BUDGET_BYTES_MAX = 256 * 1024 * 1024;

/** A budget for one kind of traffic: clients have one, JSON-RPC another, so that neither starves the other. */
export function bodyBudget(bytesMax = BUDGET_BYTES_MAX): BodyBudget {
  return { bytesMax, heldBytes: 0 };
}

/** True when the body is to be taken as raw bytes. */
export function isOctetStream(request: IncomingMessage): boolean {
  const type = request.headers['content-type'];
  return type !== undefined && /^\s*application\/octet-stream\s*(?:;|$)/i.test(type);
}

/** True when the request announces a body of at least one byte. */
export function announcesBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0);
}

/**
 * The whole body. Rejects with `too-large` as soon as it is known to be longer than `bytesMax`, with
 * `unsupported-media-type` when it is encoded, with `overloaded` when the budget is used up, and with `ClientGone` when
 * it breaks off. How long it may take is the server's `requestTimeout`.
 */
export function readBody(request: IncomingMessage, bytesMax: number, budget: BodyBudget): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    const detail = 'Content-Encoding is not supported; send the body as it is';
    return Promise.reject(new RequestError('unsupported-media-type', detail, { field: 'Content-Encoding' }));
  }
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) {
    drain(request);
    return Promise.reject(tooLarge(bytesMax));
  }
  return collect(request, bytesMax, budget);
}

function collect(request: IncomingMessage, bytesMax: number, budget: BodyBudget): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // One buffer that grows, not a list of pieces: a body sent byte by byte would take a hundred times its length.
    let held: Buffer = EMPTY;
    let byteCount = 0;

    const onData = (chunk: Buffer): void => {
      const start = byteCount;
      byteCount += chunk.length;
      budget.heldBytes += chunk.length;
      if (byteCount > bytesMax) refuse(tooLarge(bytesMax));
      else if (budget.heldBytes > budget.bytesMax) refuse(overloaded());
      else if (start === 0) held = chunk;
      else {
        if (byteCount > held.length) held = grown(held, Math.min(2 * byteCount, bytesMax));
        chunk.copy(held, start);
      }
    };
    const refuse = (refusal: Error): void => {
      leave();
      drain(request);
      reject(refusal);
    };
    const onEnd = (): void => {
      leave();
      resolve(held.subarray(0, byteCount));
    };
    const onGone = (): void => {
      leave();
      reject(new ClientGone('the connection broke while the body was read'));
    };
    let isLeft = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      budget.heldBytes -= byteCount;
      request.off('data', onData).off('end', onEnd).off('close', onGone);
    };
    // The listener of 'error' stays: an error without one would end the process.
    request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  });
}

const EMPTY = Buffer.alloc(0);

function grown(buffer: Buffer, bytes: number): Buffer {
  const next = Buffer.allocUnsafe(bytes);
  buffer.copy(next);
  return next;
}

function drain(request: IncomingMessage): void {
  let byteCount = 0;
  request.on('error', () => undefined);
  request.on('data', (chunk: Buffer) => {
    byteCount += chunk.length;
    if (byteCount > DRAIN_BYTES_MAX) request.destroy();
  });
}

function tooLarge(bytesMax: number): RequestError {
  return new RequestError('too-large', `the body must not be longer than ${bytesMax} bytes`, {
    field: 'body',
  });
}

function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'this node is receiving too many large bodies at once');
}
