/** Runs the built `kv` as a process of its own. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ExecutionContext } from 'ava';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly done: Promise<Outcome>;
}

export function startKv(t: ExecutionContext, endpoints: string, ...args: string[]): Running {
  const child = spawn(process.execPath, [resolve('dist/cli/main.js'), ...args], {
    env: { ...process.env, KV_ENDPOINTS: endpoints },
  });
  t.teardown(() => child.kill('SIGKILL'));
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const done = new Promise<Outcome>((settle) => {
    child.on('close', (code) =>
      settle({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
    );
  });
  return { child, done };
}

/** Runs it to its end, with this on standard input. */
export async function kv(
  t: ExecutionContext,
  endpoints: string,
  args: string[],
  stdin: string | Buffer = '',
): Promise<Outcome> {
  const { child, done } = startKv(t, endpoints, ...args);
  child.stdin!.on('error', () => undefined);
  child.stdin!.end(stdin);
  return done;
}

/** A directory that is gone when the test ends. */
export async function directory(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kv-cli-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}
