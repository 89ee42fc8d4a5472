/** Peers as one line of text, for `--peers`, `KV_PEERS` and `CLUSTER_NODES`; and peers known by their HTTP address alone. */

import type { Peer } from './config.js';
import { bad, good, show, type Reading } from './reading.js';
import { readReachableAddress } from './address.js';

function items(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function readPeer(item: string): Reading<Peer> {
  const usage = 'write id=host:port, or id=raft|rpc|http with three addresses';
  const split = item.indexOf('=');
  if (split < 1) return bad(`${show(item)} is not a peer; ${usage}`);
  const id = item.slice(0, split).trim();
  const [raft = '', rpc, http, ...rest] = item
    .slice(split + 1)
    .split('|')
    .map((address) => address.trim());
  if (rpc === undefined) return good({ id, raft, rpc: raft, http: raft });
  if (http === undefined || rest.length > 0)
    return bad(`${show(item)} has neither one address nor three; ${usage}`);
  return good({ id, raft, rpc, http });
}

/**
 * Takes `n1=127.0.0.1:9101,n2=host:9102` apart; one address carries all three ports, three are `raft|rpc|http`.
 * The ids and addresses themselves are judged by the schema.
 */
export function readPeers(text: string): Reading<readonly Peer[]> {
  const peers: Peer[] = [];
  for (const item of items(text)) {
    const reading = readPeer(item);
    if (!reading.ok) return reading;
    peers.push(reading.value);
  }
  return good(peers);
}

function readPeerUrl(item: string): Reading<string> {
  const usage = 'write http://host:port';
  const withScheme = /^[a-z]+:\/\//i.test(item) ? item : `http://${item}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (
    url === undefined ||
    url.protocol !== 'http:' ||
    url.username !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    return bad(`${show(item)} is not the HTTP address of a peer; ${usage}`);
  }
  // A port left out is 80 in a URL; written down, it shows in messages.
  const address = readReachableAddress(`${url.hostname}:${url.port === '' ? '80' : url.port}`, false);
  if (!address.ok || url.pathname !== '/')
    return bad(`${show(item)} is not the HTTP address of a peer; ${usage}`);
  return good(`http://${address.value}`);
}

/** Takes `http://host:8080,http://host:8090` apart; `http://` may be left out. */
export function readPeerUrls(text: string): Reading<readonly string[]> {
  const urls: string[] = [];
  for (const item of items(text)) {
    const reading = readPeerUrl(item);
    if (!reading.ok) return reading;
    if (!urls.includes(reading.value)) urls.push(reading.value);
  }
  return good(urls);
}
