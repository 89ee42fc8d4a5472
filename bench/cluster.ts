/** A cluster of real server processes on this machine: own ports, own directory, nothing left behind. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PATHS } from '../api/paths.js';

/** The package's own folder; this file is compiled to dist/bench/. */
export const ROOT = path.resolve(import.meta.dirname, '../..');

/** Also for a restart with a million keys to fetch, on a machine that does other things as well. */
const START_PATIENCE_MS = 300_000;
const STOP_PATIENCE_MS = 10_000;
const POLL_MS = 50;

export interface ClusterNode {
  readonly id: string;
  readonly http: string;
  readonly rpc: string;
  readonly raft: string;
  /** Of quorumkv; others get all of theirs by arguments. */
  readonly configFile: string;
  /** The process that was started last. */
  process: ChildProcess;
}

export type Peer = Pick<ClusterNode, 'id' | 'http' | 'rpc' | 'raft'>;

export interface Cluster {
  readonly nodes: readonly ClusterNode[];
  /** Configuration files, data, logs: all of it goes with `stop`. */
  readonly directory: string;
  /** The node that leads now; waits for one. */
  leader(): Promise<ClusterNode>;
  /** `kill -9`; resolves when the process is gone. */
  kill(node: ClusterNode): Promise<void>;
  /** Starts a killed node again and resolves when it is ready. */
  restart(node: ClusterNode): Promise<void>;
  /** Stops every process and removes the directory. */
  stop(): Promise<void>;
}

/** How the servers of one product are started and asked. */
export interface Product {
  readonly name: string;
  /** Writes what the node needs into `directory`, and says how it is started; run for each start. */
  command(self: Peer, peers: readonly Peer[], directory: string): readonly string[];
  /** Undefined once the node serves; else what it waits for. */
  notReady(node: Peer): Promise<string | undefined>;
  leads(node: Peer): Promise<boolean>;
}

/**
 * Starts `size` nodes with the shipped defaults and resolves when all of them are ready.
 *
 * @param parent where the directory is made: on a real disk, else fsync costs nothing
 * @param signal ends the waiting, with an error; nothing is left behind then, either
 */
export function startCluster(size: number, parent: string, signal?: AbortSignal): Promise<Cluster> {
  return startProduct(quorumkv([]), size, parent, signal);
}

/** The same with any product. */
export async function startProduct(
  product: Product,
  size: number,
  parent: string,
  signal?: AbortSignal,
): Promise<Cluster> {
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(path.join(parent, 'bench-'));
  const peers = await addresses(size);
  const start = (peer: Peer): ChildProcess =>
    startNode(directory, peer.id, product.command(peer, peers, directory));
  const nodes = peers.map((peer): ClusterNode => {
    return { ...peer, configFile: configFileOf(directory, peer.id), process: start(peer) };
  });
  const killAll = (): void => {
    for (const node of nodes) node.process.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  // However this process ends, no node outlives it.
  process.once('exit', killAll);

  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => stopProcess(node.process)));
    process.off('exit', killAll);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await Promise.all(nodes.map((node) => untilReady(product, node, directory, signal)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    directory,
    leader: () => findLeader(product, nodes),
    stop,
    async kill({ process: child }) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async restart(node) {
      node.process = start(node);
      await untilReady(product, node, directory, signal);
    },
  };
}

/** This product, as it is built; `nodeFlags` are for Node.js. */
export function quorumkv(nodeFlags: readonly string[]): Product {
  return {
    name: 'quorumkv',
    command(self, peers, directory) {
      const server = path.join(ROOT, 'dist/server/main.js');
      return [process.execPath, ...nodeFlags, server, '--config', writeConfig(directory, self, peers)];
    },
    async notReady(node) {
      const answer = await ask(node, PATHS.readyz);
      return answer.ok ? undefined : answer.text;
    },
    async leads(node) {
      const { ok, text } = await ask(node, PATHS.status);
      return ok && (JSON.parse(text) as { isLeader: boolean }).isLeader;
    },
  };
}

/** Ports of 127.0.0.1 that were free a moment ago, chosen by the kernel; no two are the same. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function addresses(size: number): Promise<readonly Peer[]> {
  const ports = await freePorts(3 * size);
  return Array.from({ length: size }, (_, at) => {
    const [http, rpc, raft] = ports.slice(3 * at).map((port) => `127.0.0.1:${port}`);
    return { id: `node${at + 1}`, http: http ?? '', rpc: rpc ?? '', raft: raft ?? '' };
  });
}

const configFileOf = (directory: string, id: string): string => path.join(directory, `${id}.json`);

function writeConfig(directory: string, self: Peer, peers: readonly Peer[]): string {
  const file = configFileOf(directory, self.id);
  const config = {
    httpAddr: self.http,
    rpcAddr: self.rpc,
    raft: { nodeID: self.id, bindAddr: self.raft, dataDir: path.join(directory, self.id) },
    cluster: { name: 'bench', peers },
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

function startNode(directory: string, id: string, [command = '', ...args]: readonly string[]): ChildProcess {
  // One node's variables (KV_NODE_ID, …) would be wrong for all of them; the files say everything.
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  const log = openSync(logFile(directory, id), 'a');
  const child = spawn(command, args, {
    stdio: ['ignore', log, log],
    env,
    cwd: directory,
    // Not in the terminal's process group: Ctrl-C reaches the benchmark alone, which stops the nodes in order.
    detached: true,
  });
  closeSync(log);
  return child;
}

const logFile = (directory: string, id: string): string => path.join(directory, `${id}.log`);

async function untilReady(
  product: Product,
  node: ClusterNode,
  directory: string,
  signal?: AbortSignal,
): Promise<void> {
  const deadlineMs = performance.now() + START_PATIENCE_MS;
  let why = 'it did not answer';
  while (performance.now() < deadlineMs) {
    signal?.throwIfAborted();
    if (!isRunning(node.process)) throw new Error(`${node.id} ended: ${lastLine(directory, node.id)}`);
    const missing = await product.notReady(node);
    if (missing === undefined) return;
    why = missing;
    await delay(POLL_MS);
  }
  throw new Error(`${product.name} ${node.id} is not ready after ${START_PATIENCE_MS} ms: ${why}`);
}

async function findLeader(product: Product, nodes: readonly ClusterNode[]): Promise<ClusterNode> {
  const deadlineMs = performance.now() + START_PATIENCE_MS;
  while (performance.now() < deadlineMs) {
    // All at once: a node that is stopped answers nobody, and is not to hold up the others.
    const asked = nodes.map(async (node) => {
      if (!isRunning(node.process) || !(await product.leads(node)))
        throw new Error(`${node.id} does not lead`);
      return node;
    });
    const leader = await Promise.any(asked).catch(() => undefined);
    if (leader !== undefined) return leader;
    await delay(POLL_MS);
  }
  throw new Error(`no node leads after ${START_PATIENCE_MS} ms`);
}

/** Never rejects. `body`: a POST. */
export async function ask(
  node: Pick<Peer, 'http'>,
  where: string,
  body?: string,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  try {
    const answer = await fetch(`http://${node.http}${where}`, {
      signal: AbortSignal.timeout(2000),
      ...(body !== undefined && { method: 'POST', body }),
    });
    return { ok: answer.ok, text: await answer.text() };
  } catch (error) {
    return { ok: false, text: error instanceof Error ? error.message : String(error) };
  }
}

export function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function lastLine(directory: string, id: string): string {
  return readFileSync(logFile(directory, id), 'utf8').trimEnd().split('\n').at(-1) ?? '';
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const kill = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
  child.kill('SIGTERM');
  await gone;
  clearTimeout(kill);
}
