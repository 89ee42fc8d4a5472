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
  readonly configFile: string;
  /** The process that was started last. */
  process: ChildProcess;
}

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

/**
 * Starts `size` nodes with the shipped defaults and resolves when all of them are ready.
 *
 * @param parent where the directory is made: on a real disk, else fsync costs nothing
 * @param signal ends the waiting, with an error; nothing is left behind then, either
 */
export async function startCluster(size: number, parent: string, signal?: AbortSignal): Promise<Cluster> {
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(path.join(parent, 'bench-'));
  const peers = await addresses(size);
  const nodes = peers.map((peer): ClusterNode => {
    const configFile = writeConfig(directory, peer, peers);
    return { ...peer, configFile, process: startNode(directory, peer.id, configFile) };
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
    await Promise.all(nodes.map((node) => untilReady(node, directory, signal)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    directory,
    leader: () => findLeader(nodes),
    stop,
    async kill({ process: child }) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async restart(node) {
      node.process = startNode(directory, node.id, node.configFile);
      await untilReady(node, directory, signal);
    },
  };
}

type Peer = Pick<ClusterNode, 'id' | 'http' | 'rpc' | 'raft'>;

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

function writeConfig(directory: string, self: Peer, peers: readonly Peer[]): string {
  const file = path.join(directory, `${self.id}.json`);
  const config = {
    httpAddr: self.http,
    rpcAddr: self.rpc,
    raft: { nodeID: self.id, bindAddr: self.raft, dataDir: path.join(directory, self.id) },
    cluster: { name: 'bench', peers },
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

function startNode(directory: string, id: string, configFile: string): ChildProcess {
  // One node's variables (KV_NODE_ID, …) would be wrong for all of them; the files say everything.
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  const log = openSync(logFile(directory, id), 'a');
  const server = path.join(ROOT, 'dist/server/main.js');
  const child = spawn(process.execPath, [server, '--config', configFile], {
    stdio: ['ignore', log, log],
    env,
    // Not in the terminal's process group: Ctrl-C reaches the benchmark alone, which stops the nodes in order.
    detached: true,
  });
  closeSync(log);
  return child;
}

const logFile = (directory: string, id: string): string => path.join(directory, `${id}.log`);

async function untilReady(node: ClusterNode, directory: string, signal?: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + START_PATIENCE_MS;
  let why = 'it did not answer';
  while (performance.now() < deadlineMs) {
    signal?.throwIfAborted();
    if (!isRunning(node.process)) throw new Error(`${node.id} ended: ${lastLine(directory, node.id)}`);
    const answer = await ask(node, PATHS.readyz);
    if (answer.ok) return;
    why = answer.text;
    await delay(POLL_MS);
  }
  throw new Error(`${node.id} is not ready after ${START_PATIENCE_MS} ms: ${why}`);
}

async function findLeader(nodes: readonly ClusterNode[]): Promise<ClusterNode> {
  const deadlineMs = performance.now() + START_PATIENCE_MS;
  while (performance.now() < deadlineMs) {
    for (const node of nodes) {
      const { ok, text } = await ask(node, PATHS.status);
      if (ok && (JSON.parse(text) as { isLeader: boolean }).isLeader) return node;
    }
    await delay(POLL_MS);
  }
  throw new Error(`no node leads after ${START_PATIENCE_MS} ms`);
}

async function ask(
  node: ClusterNode,
  where: string,
): Promise<{ readonly ok: boolean; readonly text: string }> {
  try {
    const answer = await fetch(`http://${node.http}${where}`, { signal: AbortSignal.timeout(2000) });
    return { ok: answer.ok, text: await answer.text() };
  } catch (error) {
    return { ok: false, text: error instanceof Error ? error.message : String(error) };
  }
}

function isRunning(child: ChildProcess): boolean {
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
