/** For an answer that is larger than memory: the client has no call for it. */

import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Access } from './context.js';

/** Asks for `url`, and resolves with the head of the answer; its body is a stream. Rejects when there is none. */
export async function openStream(
  url: URL,
  { auth, tls }: Access,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const headers = auth === undefined ? {} : { authorization: `Bearer ${auth.token}` };
  const options = { headers, signal, agent: false };
  const request =
    url.protocol === 'https:' ? httpsRequest(url, { ...options, ...tls }) : httpRequest(url, options);
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}
