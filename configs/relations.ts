/** Rules that hold between settings, each sound by itself. */

import { isEveryInterface, parseAddress } from './address.js';
import type { Config } from './config.js';
import { formatPath, type Path, type Problem } from './problem.js';
import type { FileConfig } from './schema.js';
import { formatDurationMs } from './units.js';

/** A broken rule; it is told only if all the settings it compares are sound. */
export interface BrokenRelation extends Problem {
  /** The other settings in it. */
  readonly compared: readonly Path[];
}

const PEERS: Path = ['cluster', 'peers'];
const JOIN: Path = ['cluster', 'join'];
const CLIENTS: Path = ['auth', 'clients'];
const NODE_ID: Path = ['raft', 'nodeID'];
const ELECTION: Path = ['raft', 'electionTimeout'];
const HEARTBEAT: Path = ['raft', 'heartbeatInterval'];

/** Two heartbeats fit into the shortest wait: a single lost or late one does not start an election (§5.6). */
const HEARTBEATS_PER_TIMEOUT_MIN = 2;

function timing({ raft }: Config, file: FileConfig): BrokenRelation[] {
  const [min, max] = raft.electionTimeoutMs;
  const broken: BrokenRelation[] = [];
  if (min > max) {
    const message = `the shortest, ${formatDurationMs(min)}, is above the longest, ${formatDurationMs(max)}; exchange or correct them`;
    broken.push({ path: ELECTION, message, compared: [] });
  }
  const shortest = Math.min(min, max);
  if (raft.heartbeatIntervalMs * HEARTBEATS_PER_TIMEOUT_MIN > shortest) {
    const heartbeat = formatDurationMs(raft.heartbeatIntervalMs);
    const most = formatDurationMs(Math.floor(shortest / HEARTBEATS_PER_TIMEOUT_MIN));
    const least = formatDurationMs(raft.heartbeatIntervalMs * HEARTBEATS_PER_TIMEOUT_MIN);
    broken.push({
      path: file.raft.heartbeatInterval === undefined ? ELECTION : HEARTBEAT,
      message:
        `the heartbeat interval, ${heartbeat}, is above half of the shortest election timeout, ${formatDurationMs(shortest)}; ` +
        `set heartbeatInterval to ${most} or less, or electionTimeout to ${least} or more`,
      compared: [ELECTION, HEARTBEAT],
    });
  }
  return broken;
}

function membership({ raft, cluster }: Config): BrokenRelation[] {
  const broken: BrokenRelation[] = [];
  if (cluster.peers.length + cluster.peerUrls.length > 0 && cluster.join.length > 0) {
    const message =
      'excludes cluster.peers; keep peers to form a new cluster, or join to enter a running one';
    broken.push({ path: JOIN, message, compared: [PEERS] });
  }
  if (cluster.peers.length + cluster.peerUrls.length > 0 && cluster.discovery.dns !== '') {
    const message =
      'excludes cluster.peers; keep peers to form a new cluster, or discovery to find a running one';
    broken.push({ path: ['cluster', 'discovery'], message, compared: [PEERS] });
  }
  if (cluster.peers.length > 0 && raft.nodeID !== '' && !cluster.peers.some(({ id }) => id === raft.nodeID)) {
    const ids = cluster.peers.map(({ id }) => id).join(', ');
    const message = `${raft.nodeID} is not among cluster.peers (${ids}); add its entry there, or correct the id`;
    broken.push({ path: NODE_ID, message, compared: [PEERS] });
  }
  return broken;
}

function access({ auth, tls }: Config, file: FileConfig): BrokenRelation[] {
  const broken: BrokenRelation[] = [];
  const tell = (path: Path, message: string, compared: readonly Path[] = []): void =>
    void broken.push({ path, message, compared });
  (file.auth.clients ?? []).forEach(({ name, token, sha256 }, index) => {
    const path: Path = ['auth', 'clients', index];
    if ((token === undefined) === (sha256 === undefined))
      tell(path, `${name} takes one of token and sha256; give the sha256 of its token`, [CLIENTS]);
    else if (auth.clients.findIndex((other) => other.name === name) !== index)
      tell([...path, 'name'], `${name} stands in the list twice; give each client a name of its own`, [
        CLIENTS,
      ]);
    else if (auth.clients.findIndex((other) => other.sha256 === auth.clients[index]?.sha256) !== index)
      tell(path, `${name} has the token of another client; give each client its own`, [CLIENTS]);
  });
  if (auth.clients.length > 0 && auth.peerSecret === '') {
    const message =
      'is needed beside auth.clients, since whoever reaches rpcAddr may write without it; give every node the same: openssl rand -hex 32';
    tell(['auth', 'peerSecret'], message, [CLIENTS]);
  }
  if ((tls.certFile === '') !== (tls.keyFile === '')) {
    const [given, missing] = tls.certFile === '' ? ['keyFile', 'certFile'] : ['certFile', 'keyFile'];
    tell(['tls', given], `needs tls.${missing} beside it; give both, or none`, [['tls', missing]]);
  } else if (tls.caFile !== '' && tls.certFile === '')
    tell(['tls', 'caFile'], 'needs tls.certFile and tls.keyFile beside it, of this node', [
      ['tls', 'certFile'],
    ]);
  return broken;
}

function distinctPeers({ cluster }: Config): BrokenRelation[] {
  const broken: BrokenRelation[] = [];
  const ids = new Set<string>();
  const owners = new Map<string, string>();
  cluster.peers.forEach((peer, index) => {
    const path: Path = [...PEERS, index];
    if (ids.has(peer.id)) {
      broken.push({
        path: [...path, 'id'],
        message: `${peer.id} stands in the list twice; give each node an id of its own`,
        compared: [PEERS],
      });
      return;
    }
    ids.add(peer.id);
    for (const kind of ['raft', 'rpc', 'http'] as const) {
      const address = peer[kind];
      const owner = owners.get(address);
      if (owner !== undefined && owner !== peer.id) {
        broken.push({
          path: [...path, kind],
          message: `${address} is an address of ${owner} already; give ${peer.id} its own`,
          compared: [PEERS],
        });
      }
      owners.set(address, owner ?? peer.id);
    }
  });
  return broken;
}

/** One of the node's three addresses. */
interface OwnAddress {
  readonly bindPath: Path;
  readonly bind: string;
  readonly advertisedPath: Path;
  /** As the file says, if it does. */
  readonly advertised: string | undefined;
  /** As this node's entry among the peers says. */
  readonly entry: string | undefined;
}

function ownAddresses(config: Config, file: FileConfig): OwnAddress[] {
  const own = config.cluster.peers.find(({ id }) => id === config.raft.nodeID);
  return [
    {
      bindPath: ['rpcAddr'],
      bind: config.rpcAddr,
      advertisedPath: ['advertisedRpcAddr'],
      advertised: file.advertisedRpcAddr,
      entry: own?.rpc,
    },
    {
      bindPath: ['httpAddr'],
      bind: config.httpAddr,
      advertisedPath: ['advertisedHttpAddr'],
      advertised: file.advertisedHttpAddr,
      entry: own?.http,
    },
    {
      bindPath: ['raft', 'bindAddr'],
      bind: config.raft.bindAddr,
      advertisedPath: ['raft', 'advertisedAddr'],
      advertised: file.raft.advertisedAddr,
      entry: own?.raft,
    },
  ];
}

function advertising(address: OwnAddress, peersInFile: boolean): BrokenRelation[] {
  const { bind, bindPath, advertised, advertisedPath, entry } = address;
  if (advertised === undefined) return [];
  if (peersInFile && entry !== undefined && entry !== advertised) {
    const message = `${advertised} is not what this node's entry in cluster.peers says, ${entry}; remove this key, or make them the same`;
    return [{ path: advertisedPath, message, compared: [PEERS, NODE_ID] }];
  }
  if (parseAddress(advertised).port === 0 && parseAddress(bind).port !== 0) {
    const message = `${advertised} has port 0, which nobody can call; give the port that leads to ${formatPath(bindPath)}`;
    return [{ path: advertisedPath, message, compared: [bindPath] }];
  }
  return [];
}

/** One address may carry all; but two that differ can't share a port when one of them is open to every interface. */
function overlapping(addresses: readonly OwnAddress[]): BrokenRelation[] {
  return addresses.flatMap((later, index) => {
    const { host, port } = parseAddress(later.bind);
    const earlier = addresses.slice(0, index).find((other) => {
      const parsed = parseAddress(other.bind);
      const open = isEveryInterface(host) || isEveryInterface(parsed.host);
      return port !== 0 && parsed.port === port && other.bind !== later.bind && open;
    });
    if (earlier === undefined) return [];
    const message = `${later.bind} takes the port of ${formatPath(earlier.bindPath)}, ${earlier.bind}; write them the same to share it, or give another port`;
    return [{ path: later.bindPath, message, compared: [earlier.bindPath] }];
  });
}

/**
 * Every broken rule of a configuration.
 *
 * @param file - what the file says itself, before defaults
 * @param peersInFile - false when the peers come from the environment or the command line, which then win over the file's advertised addresses
 */
export function brokenRelations(config: Config, file: FileConfig, peersInFile: boolean): BrokenRelation[] {
  const addresses = ownAddresses(config, file);
  return [
    ...membership(config),
    ...access(config, file),
    ...distinctPeers(config),
    ...addresses.flatMap((address) => advertising(address, peersInFile)),
    ...overlapping(addresses),
    ...timing(config, file),
  ];
}
