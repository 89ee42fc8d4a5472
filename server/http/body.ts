/** Request bodies, read by hand into one buffer: a parser as middleware was measured to cost a quarter of the throughput. */

import type { IncomingMessage } from 'node:http';

import { ClientGone, RequestError } from './request-error.js';

/** After a refusal, so much more of a body is read and dropped, so that the client gets to read the answer. */
const DRAIN_BYTES_MAX = 32 * 1024 * 1024;

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
 * `unsupported-media-type` when it is encoded, and with `ClientGone` when it breaks off. How long it may take is the
 * server's `requestTimeout`.
 */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    const detail = 'Content-Encoding is not supported; send the body as it is';
    return Promise.reject(new RequestError('unsupported-media-type', detail, { field: 'Content-Encoding' }));
  }
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) {
    drain(request);
    return Promise.reject(tooLarge(bytesMax));
  }
  return collect(request, bytesMax);
}

function collect(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let byteCount = 0;

    const onData = (chunk: Buffer): void => {
      byteCount += chunk.length;
      chunks.push(chunk);
      if (byteCount <= bytesMax) return;
      leave();
      drain(request);
      reject(tooLarge(bytesMax));
    };
    const onEnd = (): void => {
      leave();
      const [only] = chunks;
      resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, byteCount));
    };
    const onGone = (): void => {
      leave();
      reject(new ClientGone('the connection broke while the body was read'));
    };
    const leave = (): void => {
      request.off('data', onData).off('end', onEnd).off('close', onGone);
    };
    // The listener of 'error' stays: an error without one would end the process.
    request.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone);
  });
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
