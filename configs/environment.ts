/** The environment's say: `KV_*` variables, and the older names they replace. They override the file or stand in for it. */

import { formatAddress, readAddress } from './address.js';
import { DEFAULTS } from './defaults.js';
import type { Override, Overrides } from './overrides.js';
import { readPeers, readPeerUrls } from './peers.js';
import type { Path } from './problem.js';
import { bad, good, show, type Reading } from './reading.js';
import { getAt } from './tree.js';

/** A variable that is set but empty counts as unset: containers often pass all of them on. */
function lookUp(
  env: NodeJS.ProcessEnv,
  names: readonly string[],
): { name: string; text: string } | undefined {
  for (const name of names) {
    const text = env[name]?.trim();
    if (text !== undefined && text !== '') return { name, text };
  }
  return undefined;
}

/** Settings that take a variable's text as it is; of each, the first name that is set counts. */
const PLAIN: readonly (readonly [path: Path, names: readonly string[]])[] = [
  [
    ['raft', 'nodeID'],
    ['KV_NODE_ID', 'NODE_ID'],
  ],
  [['rpcAddr'], ['KV_RPC_ADDR', 'NODE_ADDR']],
  [
    ['raft', 'bindAddr'],
    ['KV_RAFT_ADDR', 'NODE_ADDR'],
  ],
  [
    ['raft', 'dataDir'],
    ['KV_DATA_DIR', 'WAL_DIR'],
  ],
];

const from = (name: string): string => `environment ${name}`;

/** Digits are milliseconds; anything else is left to the schema. */
function durationValue(text: string): string | number {
  return /^\d+$/.test(text) ? Number(text) : text;
}

function withPort(port: string, address: unknown): Reading<string> {
  if (!/^\d{1,5}$/.test(port)) return bad(`${show(port)} is not a port number; give one from 0 to 65535`);
  const reading = readAddress(address);
  // Whoever names but a port wants to be reached, unless the address it replaces says from where.
  return good(formatAddress({ host: reading.ok ? reading.value.host : undefined, port: Number(port) }));
}

function httpOverrides(env: NodeJS.ProcessEnv, tree: unknown): Overrides {
  const path: Path = ['httpAddr'];
  const found = lookUp(env, ['KV_HTTP_ADDR', 'HTTP_PORT', 'NODE_ADDR']);
  if (found === undefined) return { overrides: [], problems: [] };
  const origin = from(found.name);
  const reading =
    found.name === 'HTTP_PORT'
      ? withPort(found.text, lookUp(env, ['NODE_ADDR'])?.text ?? getAt(tree, path))
      : good(found.text);
  return reading.ok
    ? { overrides: [{ path, value: reading.value, from: origin }], problems: [] }
    : { overrides: [], problems: [{ path, message: reading.problem, from: origin }] };
}

function timingOverrides(env: NodeJS.ProcessEnv, tree: unknown): Override[] {
  const overrides: Override[] = [];
  const path: Path = ['raft', 'electionTimeout'];
  ['ELECTION_TIMEOUT_MIN', 'ELECTION_TIMEOUT_MAX'].forEach((variable, index) => {
    const found = lookUp(env, [variable]);
    if (found === undefined) return;
    if (overrides.length === 0 && (getAt(tree, path) ?? undefined) === undefined) {
      overrides.push({ path, value: [...DEFAULTS.raft.electionTimeoutMs], from: from(found.name) });
    }
    overrides.push({ path: [...path, index], value: durationValue(found.text), from: from(found.name) });
  });
  const heartbeat = lookUp(env, ['HEARTBEAT_INTERVAL']);
  if (heartbeat !== undefined) {
    const value = durationValue(heartbeat.text);
    overrides.push({ path: ['raft', 'heartbeatInterval'], value, from: from(heartbeat.name) });
  }
  return overrides;
}

function peerOverrides(env: NodeJS.ProcessEnv): Overrides {
  const path: Path = ['cluster', 'peers'];
  const known = lookUp(env, ['KV_PEERS', 'CLUSTER_NODES']);
  if (known !== undefined) {
    const reading = readPeers(known.text);
    const origin = from(known.name);
    return reading.ok
      ? { overrides: [{ path, value: reading.value, from: origin }], problems: [] }
      : { overrides: [], problems: [{ path, message: reading.problem, from: origin }] };
  }
  const unknown = lookUp(env, ['PEER_URLS']);
  if (unknown === undefined) return { overrides: [], problems: [] };
  const origin = from(unknown.name);
  const reading = readPeerUrls(unknown.text);
  if (!reading.ok) return { overrides: [], problems: [{ path, message: reading.problem, from: origin }] };
  return {
    overrides: [{ path, value: [], from: origin }],
    peerUrls: { urls: reading.value, from: origin },
    problems: [],
  };
}

/**
 * What the environment sets.
 *
 * @param tree - the file's tree: `HTTP_PORT` keeps the host, and one election timeout the other, that stand there
 */
export function environmentOverrides(env: NodeJS.ProcessEnv, tree: unknown): Overrides {
  const plain = PLAIN.flatMap(([path, names]): Override[] => {
    const found = lookUp(env, names);
    return found === undefined ? [] : [{ path, value: found.text, from: from(found.name) }];
  });
  const http = httpOverrides(env, tree);
  const peers = peerOverrides(env);
  return {
    overrides: [...plain, ...http.overrides, ...timingOverrides(env, tree), ...peers.overrides],
    peerUrls: peers.peerUrls,
    problems: [...http.problems, ...peers.problems],
  };
}
