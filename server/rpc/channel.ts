/**
 * A persistent connection that carries JSON-RPC both ways in length-prefixed frames. It is pipelined (any number of
 * calls under way, answered in any order) and gathers what one turn of the event loop sends into one write.
 */

import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import type { JSONRPCResponse } from 'json-rpc-2.0';
import { createCaller } from './caller.js';
import { isRecord, parseError } from './dispatch.js';
import type { Dispatcher } from './dispatch.js';
import { RPC_CODES } from './errors.js';
import { createFrameParser } from './frames.js';
import type { Logger } from './logger.js';
import { watchSilence } from './silence.js';
import { createFrameWriter } from './writer.js';

export interface ChannelOptions {
  /** What the other side may call here. */
  readonly dispatcher: Dispatcher;
  readonly logger: Logger;
  /** Bytes of one frame, at most, either way; a longer one received closes the connection. Default: 64 MiB. */
  readonly frameBytesMax?: number;
  /** Bytes that wait for the other side to read, at most; what comes beyond is dropped. Default: 64 MiB. */
  readonly queueBytesMax?: number;
  /** Calls from here that wait for their answer, at most; further ones are `never-sent`. Default: 16,384. */
  readonly pendingCallsMax?: number;
  /** Calls from the other side under way, at most; further ones are answered `overloaded`. Default: 4,096. */
  readonly inboundCallsMax?: number;
  /** The connection is closed when not a byte came for so long, pings notwithstanding, in ms. Default: 3,000. */
  readonly silenceMs?: number;
}

export const CHANNEL_DEFAULTS = Object.freeze({
  frameBytesMax: 64 * 1024 * 1024,
  queueBytesMax: 64 * 1024 * 1024,
  pendingCallsMax: 16_384,
  inboundCallsMax: 4096,
  silenceMs: 3000,
});

export interface Channel {
  /** The other side's address, for messages. */
  readonly remote: string;
  isOpen(): boolean;
  /**
   * Resolves with the result. Rejects with `RpcError` when the other side answered an error, with `ChannelError` when
   * there was no answer within `timeoutMs`, or none can come any more.
   */
  request(method: string, params: object, timeoutMs: number): Promise<unknown>;
  /** Sends what is queued, then closes. Calls under way reject as `lost`. */
  close(reason: string): void;
  /** Resolves with the reason, once. */
  readonly closed: Promise<string>;
}

/** Time that a closing connection has to deliver what is queued, in ms. */
const CLOSE_GRACE_MS = 1000;

/** Whatever the other side answers shows that it is there: "method not found" will do. No call of ours has this id. */
const PING = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'rpc.ping' });

/** Speaks on `socket`, a connection that both sides have agreed to use so; `head` is what arrived with the agreement. */
export function createChannel(socket: Socket, head: Buffer, options: ChannelOptions): Channel {
  const { logger } = options;
  const limits = { ...CHANNEL_DEFAULTS, ...options };
  const remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? '?'}`;
  const writer = createFrameWriter(socket, limits);
  const caller = createCaller((text) => writer.write(text), remote, limits.pendingCallsMax);
  let open = true;
  let resolveClosed: (reason: string) => void;
  const closed = new Promise<string>((resolve) => (resolveClosed = resolve));

  function shut(reason: string): void {
    if (!open) return;
    open = false;
    silence.stop();
    caller.close();
    resolveClosed(reason);
  }

  function cut(reason: string): void {
    shut(reason);
    socket.destroy();
  }

  const silence = watchSilence(
    limits.silenceMs,
    () => writer.write(PING),
    () => cut(`silent for ${limits.silenceMs} ms`),
  );

  const channel: Channel = {
    remote,
    closed,
    isOpen: () => open,
    request: (method, params, timeoutMs) => caller.request(method, params, timeoutMs),
    close(reason) {
      if (!open) return;
      writer.flush();
      shut(reason);
      socket.end();
      const grace = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
      grace.unref();
      socket.once('close', () => clearTimeout(grace));
    },
  };

  const serve = createServing(channel, limits, (text) => writer.write(text));
  const parser = createFrameParser(limits.frameBytesMax, (frame) => {
    // After a close nothing is carried out any more: its answer could not be given.
    if (!open) return;
    const payload = parse(frame);
    if (payload === undefined)
      writer.write(JSON.stringify(parseError('a frame holds one JSON text in UTF-8')));
    else if (isResponse(payload)) caller.receive(payload);
    else serve(payload);
  });

  function onData(chunk: Buffer): void {
    silence.heard();
    try {
      parser.push(chunk);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn({ remote, reason }, 'a connection between nodes was closed');
      cut(reason);
    }
  }

  listen(socket, onData, shut);
  if (head.length > 0) onData(head);
  return channel;
}

function listen(socket: Socket, onData: (chunk: Buffer) => void, shut: (reason: string) => void): void {
  socket.setNoDelay(true);
  socket.setTimeout(0);
  socket.on('data', onData);
  socket.on('error', (error) => shut(error.message));
  // A server's sockets stay half open by default; here an end is the end.
  socket.on('end', () => {
    shut('the other side closed the connection');
    socket.destroy();
  });
  socket.on('close', () => shut('the connection closed'));
}

/** Undefined when the frame is not JSON, which itself is never undefined. */
function parse(frame: Buffer): unknown {
  if (!isUtf8(frame)) return undefined;
  try {
    return JSON.parse(frame.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isResponse(payload: unknown): payload is JSONRPCResponse {
  return isRecord(payload) && !('method' in payload) && ('result' in payload || 'error' in payload);
}

/** Carries out the calls of the other side and writes the answers. */
function createServing(
  channel: Channel,
  { dispatcher, logger, inboundCallsMax }: Required<ChannelOptions>,
  write: (text: string) => string | undefined,
): (payload: unknown) => void {
  let underWay = 0;

  function answer(text: string | undefined): void {
    if (text === undefined || !channel.isOpen()) return;
    const fault = write(text);
    if (fault !== undefined) logger.debug({ remote: channel.remote, fault }, 'an answer was dropped');
  }

  return (payload) => {
    const calls = Array.isArray(payload) ? payload.length : 1;
    if (underWay + calls > inboundCallsMax) {
      answer(overloaded(payload));
      return;
    }
    underWay += calls;
    void dispatcher.handle(payload, { channel }).then((text) => {
      underWay -= calls;
      answer(text);
    });
  };
}

/** The answer to one call, or to each of a batch, that came while too many were under way. */
function overloaded(payload: unknown): string | undefined {
  const one = (call: unknown): JSONRPCResponse[] => {
    const id = isRecord(call) ? call['id'] : undefined;
    if (typeof id !== 'string' && typeof id !== 'number') return [];
    const data = { code: 'overloaded', outcome: 'not-applied' };
    return [
      { jsonrpc: '2.0', id, error: { code: RPC_CODES.service, message: 'Too many calls under way', data } },
    ];
  };
  const answers = Array.isArray(payload) ? payload.flatMap(one) : one(payload);
  if (answers.length === 0) return undefined;
  return JSON.stringify(Array.isArray(payload) ? answers : answers[0]);
}
