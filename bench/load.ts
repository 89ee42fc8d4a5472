/**
 * Puts load on a cluster: `wrk` where it is installed, which costs least of the CPU that is measured, else autocannon; the SDK in a
 * process of its own. An answer that is not what it should be is an error, never throughput.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { ROOT, type ClusterNode } from './cluster.js';
import { fill, type System } from './systems.js';
import { READ_PERCENT, randomKey, type Data, type RequestForm, type Workload } from './workloads.js';

export type Tool = 'wrk' | 'autocannon';

export interface Load {
  readonly system: System;
  readonly workload: Workload;
  readonly data: Data;
  /** The connections are spread over them. */
  readonly targets: readonly ClusterNode[];
  /** Kept alive, one request at a time on each; of the SDK: concurrent calls. */
  readonly connections: number;
  readonly seconds: number;
  /** Requests per second, sent on time whatever the answers do; without it each connection sends when it has its answer. */
  readonly rate?: number;
  /** So many requests may fail, as those under way do when the leader changes; default: none. */
  readonly errorsMax?: number;
}

const measured = z.object({
  requests: z.number(),
  seconds: z.number().positive(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  /** Connections that broke, requests without an answer, answers that were not 2xx or not right. */
  errors: z.number(),
  /** Of all answers, heads included. */
  bytes: z.number(),
});

export type Measured = Omit<z.infer<typeof measured>, 'bytes'>;

const PRELOAD_CONNECTIONS = 8;
/** Keys that are read, and looked at, before and after each run. */
const SAMPLE = 32;
/** A server that does not answer is not waited for without end. */
const SEND_TIMEOUT_MS = 30_000;
/** What is not measured (loading, looking at values) is tried again: a change of the leader meanwhile is no reason to give up. */
const ATTEMPTS = 10;
const ATTEMPT_PAUSE_MS = 500;
/** A target that has lost the lead has every write a little later. */
const APPLIED_PATIENCE_MS = 2000;
const APPLIED_POLL_MS = 100;

export function loadTool(): Tool {
  return spawnSync('wrk', ['-v'], { stdio: 'ignore' }).error === undefined ? 'wrk' : 'autocannon';
}

/** Sets every key. `signal` ends it early, with an error. */
export async function preload(
  system: System,
  target: ClusterNode,
  data: Data,
  signal: AbortSignal,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: PRELOAD_CONNECTIONS });
  // A request of half a MiB at most.
  const step = Math.max(1, Math.min(system.loadMax, Math.floor(2 ** 19 / data.value.length)));
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < data.keys) {
      const first = next;
      next = Math.min(data.keys, first + step);
      await sendPatiently(target, agent, system.load(first, next, data), signal);
    }
  };
  try {
    await Promise.all(Array.from({ length: PRELOAD_CONNECTIONS }, worker));
  } finally {
    agent.destroy();
  }
}

/** An answer that is not 200. */
class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** 429: the servers have too much to do at the moment. */
const isPassing = (status: number): boolean => status >= 500 || status === 429;

async function sendPatiently(
  target: Pick<ClusterNode, 'http'>,
  agent: Agent,
  form: RequestForm,
  signal: AbortSignal,
): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await send(target, agent, form);
    } catch (error) {
      if (attempt === ATTEMPTS || (error instanceof Refused && !isPassing(error.status))) throw error;
      await delay(ATTEMPT_PAUSE_MS);
    }
  }
}

/** Resolves with the body; rejects unless the status is 200. */
export function send(target: Pick<ClusterNode, 'http'>, agent: Agent, form: RequestForm): Promise<string> {
  const { method, path: where, body } = form;
  return new Promise((resolve, reject) => {
    const request = httpRequest(`http://${target.http}${where}`, { agent, method }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200) resolve(text);
        else {
          const status = response.statusCode ?? 0;
          reject(new Refused(status, `${method} ${where} was answered ${status}: ${text}`));
        }
      });
    });
    request.once('error', reject);
    request.setTimeout(SEND_TIMEOUT_MS, () =>
      request.destroy(new Error(`${method} ${where} was not answered within ${SEND_TIMEOUT_MS} ms`)),
    );
    request.end(body);
  });
}

/** Keys drawn at random must have the value. */
export async function checkSample(
  { system, workload, data, targets }: Pick<Load, 'system' | 'workload' | 'data' | 'targets'>,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const form = system.get(workload);
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const check = async (_: unknown, at: number): Promise<void> => {
    const [target] = targets.slice(at % targets.length);
    if (form === undefined || target === undefined) return;
    const key = randomKey(data);
    const answer = await sendPatiently(target, agent, fill(system, form, key), signal);
    if (system.valueOf(answer) !== data.value)
      throw new Error(`${system.name} gives a wrong value for ${key}: ${answer.slice(0, 200)}`);
  };
  try {
    await Promise.all(Array.from({ length: SAMPLE }, check));
  } finally {
    agent.destroy();
  }
}

/** Runs one load and resolves with what it measured. `signal` ends it early, with an error. */
export async function runLoad(tool: Tool, load: Load, signal: AbortSignal): Promise<Measured> {
  await checkSample(load, signal);
  const [target] = load.targets;
  if (target === undefined) throw new Error('there is no target');
  const before = await load.system.revision(target);
  const { bytes, ...result } = await generate(tool, load, signal);
  const written = (await revisionSoon(load.system, target, before + writesMin(load, result))) - before;
  await checkSample(load, signal);
  const fault = faultOf(load, result, bytes, written);
  if (fault !== undefined) throw new Error(`${load.system.name}, ${load.workload}: ${fault}`);
  return result;
}

/** The revision, as soon as it has reached `goal`; else what it has come to in a while. */
async function revisionSoon(system: System, target: ClusterNode, goal: number): Promise<number> {
  const deadlineMs = performance.now() + APPLIED_PATIENCE_MS;
  for (;;) {
    const revision = await system.revision(target);
    if (revision >= goal || performance.now() > deadlineMs) return revision;
    await delay(APPLIED_POLL_MS);
  }
}

/** A mix draws lots: nine tenths of its share is far below what chance explains. */
function shareOf({ workload }: Load): { readonly reads: number; readonly sure: number } {
  const reads = READ_PERCENT[workload] / 100;
  return { reads, sure: reads === 0 || reads === 1 ? 1 : 0.9 };
}

/** What must have been written when so many requests were answered well: those that failed may be among the requests. */
function writesMin(load: Load, { requests, errors }: Measured): number {
  const { reads, sure } = shareOf(load);
  return Math.floor((1 - reads) * Math.max(0, requests - errors) * sure);
}

/** What shows that not all of the answers that were counted can be right. */
function faultOf(load: Load, result: Measured, bytes: number, written: number): string | undefined {
  const { requests, errors } = result;
  if (errors > (load.errorsMax ?? 0))
    return `${errors} of ${requests} requests had no answer, or a wrong one`;
  if (written < writesMin(load, result))
    return `${requests} requests were answered, but only ${written} writes were applied`;
  const { reads, sure } = shareOf(load);
  const bytesMin = (requests - errors) * reads * sure * load.system.answerBytesMin(load.data.value.length);
  if (bytes < bytesMin) return `${bytes} bytes of answers do not hold the values of ${requests} requests`;
  return undefined;
}

async function generate(tool: Tool, load: Load, signal: AbortSignal): Promise<z.infer<typeof measured>> {
  const directory = mkdtempSync(path.join(tmpdir(), 'quorumkv-load-'));
  try {
    const file = path.join(directory, 'load');
    const output = await run(commandOf(tool, load, file), { ...process.env, BENCH_LOAD: file }, signal);
    const last = output.trimEnd().split('\n').at(-1) ?? '';
    return measured.parse(JSON.parse(last));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What `generate.ts`, `paced.ts` and `sdk-load.ts` are told by the file that BENCH_LOAD names; `load.lua` by the same in Lua. */
export const loadFile = z.object({
  targets: z.array(z.string()),
  connections: z.number(),
  seconds: z.number(),
  rate: z.number().optional(),
  keys: z.number(),
  value: z.string(),
  readPercent: z.number(),
  keyEncoding: z.enum(['plain', 'base64']),
  /** Each with the place of the key marked. */
  put: z.object({ method: z.enum(['GET', 'POST']), path: z.string(), body: z.string().optional() }),
  get: z.object({ method: z.enum(['GET', 'POST']), path: z.string(), body: z.string().optional() }),
});

function commandOf(tool: Tool, load: Load, file: string): string[] {
  const { system, workload, data, targets, connections, seconds, rate } = load;
  const get = system.get(workload);
  if (get === undefined) throw new Error(`${system.name} has no ${workload}`);
  const viaSdk = workload.startsWith('sdk-') && system.name === 'quorumkv';
  const described: z.infer<typeof loadFile> = {
    ...{ connections, seconds, keys: data.keys, value: data.value },
    targets: targets.map(({ http }) => http),
    readPercent: READ_PERCENT[workload],
    keyEncoding: system.keyEncoding,
    put: system.put(data),
    get,
    ...(rate !== undefined && { rate }),
  };
  if (tool === 'wrk' && !viaSdk && rate === undefined) {
    writeFileSync(file, asLua(described));
    return wrk(targets, connections, seconds);
  }
  writeFileSync(file, JSON.stringify(described));
  const program = viaSdk ? 'sdk-load.js' : rate === undefined ? 'generate.js' : 'paced.js';
  return [process.execPath, path.join(ROOT, 'dist/bench', program)];
}

function wrk(targets: readonly ClusterNode[], connections: number, seconds: number): string[] {
  return [
    'wrk',
    // A thread for each target: a thread of wrk has one address.
    ...['--threads', String(Math.min(targets.length, connections))],
    ...['--connections', String(connections)],
    ...['--duration', `${seconds}s`],
    ...['--timeout', '10s'],
    ...['--script', path.join(ROOT, 'bench/load.lua')],
    `http://${targets[0]?.http ?? ''}`,
  ];
}

/** A table of strings, numbers and tables; long brackets take everything literally. */
function asLua(value: unknown, depth = 0): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `[==[${value}]==]`;
  const rows = Object.entries(value ?? {}).map(([name, inner]) => {
    return Array.isArray(value) ? asLua(inner, depth + 1) : `${name} = ${asLua(inner, depth + 1)}`;
  });
  return `${depth === 0 ? 'return ' : ''}{ ${rows.join(', ')} }`;
}

function run(
  [command = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string> {
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
