/** `POST /rpc`: a body in, a body out. Whatever reads the request and writes the answer stands elsewhere. */

import { isUtf8 } from 'node:buffer';
import { createDispatcher, invalidRequest, parseError } from './dispatch.js';
import type { Dispatcher, Methods } from './dispatch.js';
import type { Logger } from './logger.js';

/** A body may nest arrays and objects so deep; every method here needs less. */
export const NESTING_MAX = 32;

/** Bytes of one body, at most, unless told otherwise. */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** Answers one body; undefined when it held only notifications (HTTP then answers 204). Never rejects. */
export type Endpoint = (body: Buffer) => Promise<Buffer | undefined>;

/** An endpoint that serves `methods`. A body over `bodyBytesMax` (default 16 MiB) is answered -32600. */
export function createEndpoint(methods: Methods, logger: Logger, bodyBytesMax = BODY_BYTES_MAX): Endpoint {
  return endpointOf(createDispatcher(methods, logger), bodyBytesMax);
}

/** The same, on a dispatcher that serves persistent connections as well. */
export function endpointOf(dispatcher: Dispatcher, bodyBytesMax = BODY_BYTES_MAX): Endpoint {
  return async (body) => {
    const answer = await answerTo(body, dispatcher, bodyBytesMax);
    return answer === undefined ? undefined : Buffer.from(answer);
  };
}

async function answerTo(
  body: Buffer,
  dispatcher: Dispatcher,
  bodyBytesMax: number,
): Promise<string | undefined> {
  if (body.length > bodyBytesMax) {
    return JSON.stringify(invalidRequest(`a body has at most ${bodyBytesMax} bytes`));
  }
  if (!isUtf8(body)) return JSON.stringify(parseError('the body is not UTF-8'));
  let payload: unknown;
  try {
    payload = JSON.parse(body.toString('utf8'));
  } catch (error) {
    return JSON.stringify(parseError(error instanceof Error ? error.message : 'not JSON'));
  }
  if (deeperThan(payload, NESTING_MAX)) {
    return JSON.stringify(invalidRequest(`nested deeper than ${NESTING_MAX} levels`));
  }
  return dispatcher.handle(payload, {});
}

/** The recursion is as deep as `levels` at most, whatever the value. */
function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => deeperThan(inner, levels - 1));
}
