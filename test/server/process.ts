/** `kv-server` as a child process, on ports of the kernel's choice, gone after the test. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { freePorts } from '../integration/ports.js';

const MAIN = path.resolve('dist/server/main.js');
const READY_MS = 20_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  /** One a line. */
  readonly complaints: readonly string[];
}

export interface Child {
  readonly exit: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves once its log holds `text`. */
  logs(text: string): Promise<void>;
}

export function kvServer(t: ExecutionContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exit = once(child, 'close').then(([code, signal]: unknown[]): Exit => ({
    code: typeof code === 'number' ? code : null,
    signal: typeof signal === 'string' ? (signal as NodeJS.Signals) : null,
    stdout,
    complaints: stderr.split('\n').filter((line) => line !== ''),
  }));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  return {
    exit,
    kill: (signal) => void child.kill(signal),
    async logs(text) {
      const ended = exit.then(() => true);
      while (!stdout.includes(text)) {
        const over = await Promise.race([ended, once(child.stdout, 'data').then(() => false)]);
        if (over && !stdout.includes(text)) throw new Error(`ended without "${text}":\n${stdout}\n${stderr}`);
      }
    },
  };
}

export function temporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'quorumkv-server-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function fileWith(directory: string, text: string, name = 'node.yaml'): string {
  const file = path.join(directory, name);
  writeFileSync(file, text);
  return file;
}

export async function listening(): Promise<Server> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** The seed form of the file: a cluster of one. */
export interface Seed {
  readonly file: string;
  readonly url: string;
  readonly ports: readonly number[];
  readonly dataDir: string;
}

export async function seedFile(directory: string, extra = ''): Promise<Seed> {
  const ports = await freePorts(3);
  const [http, rpc, raft] = ports;
  const dataDir = path.join(directory, 'data');
  const file = fileWith(
    directory,
    `rpcAddr: '127.0.0.1:${rpc}'
httpAddr: '127.0.0.1:${http}'
raft:
  nodeID: node1
  bindAddr: '127.0.0.1:${raft}'
  advertisedAddr: 'localhost:${raft}'
  dataDir: ${JSON.stringify(dataDir)}
  logLevel: info
  snapshotInterval: 30
  snapshotThreshold: 1024
  maxSnapshots: 5
${extra}`,
  );
  return { file, ports, dataDir, url: `http://127.0.0.1:${http}` };
}

/** Waits until the node serves; fails with why it does not. */
export async function ready(url: string): Promise<void> {
  let last = 'no answer';
  const endMs = performance.now() + READY_MS;
  while (performance.now() < endMs) {
    try {
      const response = await fetch(`${url}/readyz`);
      const text = await response.text();
      if (response.ok) return;
      last = text;
    } catch (error) {
      last = String(error);
    }
    await delay(20);
  }
  throw new Error(`${url} is not ready: ${last}`);
}
