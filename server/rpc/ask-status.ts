import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { json } from 'node:stream/consumers';
import { parseAddress } from '../../configs/address.js';
import { PATHS } from '../../api/paths.js';
import { bearer } from '../bearer.js';
import type { Credentials } from '../credentials.js';

/** What the node with this HTTP address (`host:port`) says of itself, not checked yet. Rejects when it says nothing in time. */
export async function askStatus(
  address: string,
  { tls, peerSecret }: Credentials,
  timeoutMs: number,
): Promise<unknown> {
  const { host, port } = parseAddress(address);
  const options = {
    host,
    port,
    path: PATHS.status,
    agent: false,
    headers: bearer(peerSecret),
    signal: AbortSignal.timeout(timeoutMs),
  };
  return new Promise((resolve, reject) => {
    const request = tls === undefined ? httpRequest(options) : httpsRequest({ ...options, ...tls });
    request.on('response', (response) => {
      if (response.statusCode === 200) json(response).then(resolve, reject);
      else {
        response.resume();
        reject(new Error(`${address} answered ${response.statusCode ?? 0}`));
      }
    });
    request.on('error', reject);
    request.end();
  });
}
