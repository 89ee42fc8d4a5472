/** Puts load on the cluster: `wrk` where it is installed, which costs least of the CPU that is measured, else autocannon. */

import { spawn, spawnSync } from 'node:child_process';
import { Agent, request as httpRequest } from 'node:http';
import path from 'node:path';
import { z } from 'zod';
import { ROOT } from './cluster.js';
import { keyAt, putRequest, type Data, type Workload } from './workloads.js';

export type Tool = 'wrk' | 'autocannon';

export interface Load {
  readonly workload: Workload;
  readonly data: Data;
  /** `host:port` each; the connections are spread over them. */
  readonly targets: readonly string[];
  /** Kept alive, one request at a time on each. */
  readonly connections: number;
  readonly seconds: number;
}

const measured = z.object({
  requests: z.number(),
  seconds: z.number().positive(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  /** Connections that broke, requests without an answer, answers that were not 2xx. */
  errors: z.number(),
});

export type Measured = z.infer<typeof measured>;

const PRELOAD_CONNECTIONS = 64;

export function loadTool(): Tool {
  return spawnSync('wrk', ['-v'], { stdio: 'ignore' }).error === undefined ? 'wrk' : 'autocannon';
}

/** Sets every key once. `signal` ends it early, with an error. */
export async function preload(target: string, data: Data, signal: AbortSignal): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: PRELOAD_CONNECTIONS });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < data.keys) {
      const key = keyAt(next);
      next += 1;
      signal.throwIfAborted();
      await send(target, agent, key, data);
    }
  };
  try {
    await Promise.all(Array.from({ length: PRELOAD_CONNECTIONS }, worker));
  } finally {
    agent.destroy();
  }
}

function send(target: string, agent: Agent, key: string, data: Data): Promise<void> {
  const { method, path: where, body } = putRequest(key, data);
  return new Promise((resolve, reject) => {
    const request = httpRequest(`http://${target}${where}`, { agent, method }, (response) => {
      response.resume();
      response.once('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`the preload of ${key} was answered ${response.statusCode ?? 0}`));
      });
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** Runs one load and resolves with what it measured. `signal` ends it early, with an error. */
export async function runLoad(tool: Tool, load: Load, signal: AbortSignal): Promise<Measured> {
  const { workload, data, targets, connections, seconds } = load;
  const env = {
    ...process.env,
    BENCH_WORKLOAD: workload,
    BENCH_KEYS: String(data.keys),
    BENCH_VALUE: data.value,
    BENCH_TARGETS: targets.join(','),
  };
  const output =
    tool === 'wrk'
      ? await run('wrk', wrkArguments(targets, connections, seconds), env, signal)
      : await run(process.execPath, autocannonArguments(connections, seconds), env, signal);
  const last = output.trimEnd().split('\n').at(-1) ?? '';
  return measured.parse(JSON.parse(last));
}

function wrkArguments(targets: readonly string[], connections: number, seconds: number): string[] {
  return [
    // A thread for each target: a thread of wrk has one address.
    ...['--threads', String(Math.min(targets.length, connections))],
    ...['--connections', String(connections)],
    ...['--duration', `${seconds}s`],
    ...['--timeout', '10s'],
    ...['--script', path.join(ROOT, 'bench/load.lua')],
    `http://${targets[0] ?? ''}`,
  ];
}

function autocannonArguments(connections: number, seconds: number): string[] {
  return [path.join(ROOT, 'dist/bench/generate.js'), String(connections), String(seconds)];
}

function run(command: string, args: string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ended with exit code ${code ?? 'none'}: ${output.trim()}`));
    });
  });
}
