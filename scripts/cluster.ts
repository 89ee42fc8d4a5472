/** `npm start`: the nodes of the shipped configuration files, in the foreground, until Ctrl-C. */

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { formatAddress, isEveryInterface, parseAddress } from '../configs/address.js';
import type { Config } from '../configs/config.js';
import { loadConfig } from '../configs/load.js';
import { formatLogLine, paint, type Style } from './log-lines.js';
import { bindFault, ended, isRunning, onLines, stopChild } from './processes.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const SERVER = path.join(ROOT, 'dist/server/main.js');
const FILES = ['configs/config1.yaml', 'configs/config2.yaml', 'configs/config3.yaml'];

const STOP_PATIENCE_MS = 10_000;
const READY_POLL_MS = 100;
/** After this long without an answer from /readyz, the launcher says what it waits for. */
const READY_HINT_MS = 15_000;
/** On a terminal, one Ctrl-C arrives twice: from the terminal, and forwarded by npm. */
const SAME_SIGNAL_MS = 500;

/** One node's settings that would be wrong for its siblings; the files alone say what each node is. */
const PER_NODE_VARIABLES = [
  'KV_NODE_ID',
  'KV_HTTP_ADDR',
  'KV_RPC_ADDR',
  'KV_RAFT_ADDR',
  'KV_DATA_DIR',
  'KV_PEERS',
  'NODE_ID',
  'HTTP_PORT',
  'PEER_URLS',
  'WAL_DIR',
  'NODE_ADDR',
  'CLUSTER_NODES',
];

/** The environment of every node. */
const NODE_ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !PER_NODE_VARIABLES.includes(name)),
);

interface NodeFile {
  readonly file: string;
  readonly id: string;
  readonly config: Config;
}

interface RunningNode {
  readonly node: NodeFile;
  readonly child: ChildProcess;
}

const style: Style = { colour: process.stdout.isTTY && process.env['NO_COLOR'] === undefined };
let stopping = false;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<void> {
  const program = new Command('npm start --')
    .description('Runs a cluster of nodes in the foreground; Ctrl-C stops it.')
    .argument('[files...]', 'configuration files, one a node', FILES)
    .option('--data <dir>', "keep each node's data in <dir>/<node id> instead of its file's raft.dataDir")
    .option('--fresh', 'remove the data of earlier runs first');
  program.parse();
  const { data, fresh } = program.opts<{ data?: string; fresh?: boolean }>();
  const files: readonly string[] = program.args.length === 0 ? FILES : program.args;

  const nodes = files.map((file) => readNodeFile(file, data));
  if (!existsSync(SERVER)) throw new Error('dist/server/main.js is missing: run `npm run build` first');
  await refusePortsInUse(nodes);
  if (fresh === true) {
    for (const { config } of nodes) rmSync(config.raft.dataDir, { recursive: true, force: true });
  }

  const running = nodes.map((node, position) => start(node, position));
  stopOnSignals(running);
  const allGone = Promise.all(running.map(watchExit));
  await Promise.race([allGone, waitUntilReady(running).then(() => introduce(running))]);
  await allGone;
  if (!stopping) throw new Error('every node is gone');
}

function readNodeFile(file: string, data: string | undefined): NodeFile {
  const config = loadConfig(file, NODE_ENV);
  const id = config.raft.nodeID;
  return data === undefined
    ? { file, id, config }
    : { file, id, config: loadConfig(file, NODE_ENV, { dataDir: path.join(data, id) }) };
}

/** The address as a client on this machine would write it. */
function reachable(address: string): string {
  const { host, port } = parseAddress(address);
  return formatAddress({ host: isEveryInterface(host) ? 'localhost' : host, port });
}

async function refusePortsInUse(nodes: readonly NodeFile[]): Promise<void> {
  const faults: string[] = [];
  for (const node of nodes) {
    const { httpAddr, rpcAddr, raft } = node.config;
    // The three addresses of a node may be one and the same.
    const addresses = new Map([
      [raft.bindAddr, 'raft.bindAddr'],
      [rpcAddr, 'rpcAddr'],
      [httpAddr, 'httpAddr'],
    ]);
    for (const [address, key] of addresses) {
      const { host, port } = parseAddress(address);
      const fault = await bindFault(host, port);
      if (fault === undefined) continue;
      const why = fault === 'EADDRINUSE' ? 'is in use' : `can't be used (${fault})`;
      faults.push(`${node.file}: ${key}: ${address} ${why}`);
    }
  }
  if (faults.length === 0) return;
  faults.push('Stop what listens there (an earlier `npm start`?), or give the files other ports.');
  throw new Error(faults.join('\n'));
}

function start(node: NodeFile, position: number): RunningNode {
  const env = { ...NODE_ENV, KV_DATA_DIR: node.config.raft.dataDir };
  const child = spawn(process.execPath, [SERVER, '--config', node.file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    // A process group of its own: the terminal's Ctrl-C reaches the launcher alone, which stops the nodes in its own way.
    detached: true,
  });
  const prefix = paint(`${node.id} |`, 36 - (position % 5), style);
  for (const stream of [child.stdout, child.stderr]) {
    onLines(stream, (line) => say(`${prefix} ${formatLogLine(line, style)}`));
  }
  child.once('error', (error) => say(`${prefix} could not be started: ${error.message}`));
  return { node, child };
}

async function watchExit({ node, child }: RunningNode): Promise<void> {
  const how = await ended(child);
  if (stopping) say(`${node.id} stopped (${how})`);
  else say(paint(`${node.id} ended unexpectedly: ${how}; the others go on`, 31, style));
}

function stopOnSignals(running: readonly RunningNode[]): void {
  let firstMs = 0;
  const onSignal = (): void => {
    const nowMs = performance.now();
    if (!stopping) {
      stopping = true;
      firstMs = nowMs;
      say('Stopping (again Ctrl-C: at once) ...');
      for (const { node, child } of running) {
        const onKill = (): void =>
          say(`${node.id} did not stop within ${STOP_PATIENCE_MS / 1000} s and is killed`);
        void stopChild(child, STOP_PATIENCE_MS, onKill);
      }
    } else if (nowMs - firstMs > SAME_SIGNAL_MS) {
      for (const { child } of running) child.kill('SIGKILL');
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  // However this process ends, no node outlives it.
  process.on('exit', () => {
    for (const { child } of running) if (isRunning(child)) child.kill('SIGKILL');
  });
}

async function waitUntilReady(running: readonly RunningNode[]): Promise<void> {
  await Promise.all(
    running.map(async ({ node, child }) => {
      const startMs = performance.now();
      let hinted = false;
      while (isRunning(child) && !stopping) {
        const fault = await notReady(node);
        if (fault === undefined) return;
        if (!hinted && performance.now() - startMs > READY_HINT_MS) {
          hinted = true;
          say(`${node.id} is not ready yet: ${fault}`);
        }
        await delay(READY_POLL_MS);
      }
    }),
  );
}

/** Undefined when the node answers /readyz with 200; else why not. */
async function notReady({ config }: NodeFile): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://${reachable(config.httpAddr)}/readyz`, {
      signal: AbortSignal.timeout(2_000),
    });
    const body = await answer.text();
    return answer.ok ? undefined : `/readyz answers ${answer.status} ${body.trim()}`;
  } catch (error) {
    return `/readyz does not answer (${error instanceof Error ? error.message : String(error)})`;
  }
}

async function introduce(running: readonly RunningNode[]): Promise<void> {
  const alive = running.filter(({ child }) => isRunning(child));
  const first = alive[0];
  if (stopping || first === undefined) return;
  const url = `http://${reachable(first.node.config.httpAddr)}`;
  const lines = alive.map(({ node: { id, config } }) => {
    const { httpAddr, rpcAddr, raft } = config;
    return `  ${id}: http://${reachable(httpAddr)}   raft ${raft.bindAddr}   rpc ${rpcAddr}   data ${raft.dataDir}`;
  });
  const head =
    alive.length === running.length ? 'The cluster is up' : `${alive.length} of ${running.length} are up`;
  say(
    [
      '',
      `${paint(head, 32, style)}; ${await whoLeads(url)}.`,
      ...lines,
      '',
      'Try, in another terminal:',
      `  curl ${url}/set -d '{"key": "colour", "value": "blue"}'`,
      `  curl '${url}/get?key=colour'`,
      '  npx kv set colour green',
      '  npx kv get colour',
      '  npx kv status',
      '',
      'Ctrl-C stops all of them.',
      '',
    ].join('\n'),
  );
}

async function whoLeads(url: string): Promise<string> {
  const unknown = 'no leader is known yet';
  try {
    const answer = await fetch(`${url}/status`, { signal: AbortSignal.timeout(2_000) });
    const body: unknown = await answer.json();
    if (typeof body !== 'object' || body === null || !('leaderId' in body)) return unknown;
    return typeof body.leaderId === 'string' ? `${body.leaderId} leads` : unknown;
  } catch {
    return unknown;
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
