/** Child processes of the scripts: their lines, and a stop that ends. */

import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

export function onLines(stream: Readable | null, take: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream, crlfDelay: Infinity }).on('line', take);
}

/** Resolves with how the child ended, in words: `exit code 1` or `signal SIGKILL`. */
export async function ended(child: ChildProcess): Promise<string> {
  if (isRunning(child)) await new Promise((resolve) => child.once('exit', resolve));
  return child.signalCode === null ? `exit code ${child.exitCode ?? 0}` : `signal ${child.signalCode}`;
}

/** SIGTERM, then SIGKILL when it is still there after `patienceMs`. Resolves once the process is gone. */
export async function stopChild(
  child: ChildProcess,
  patienceMs: number,
  onKill: () => void = () => undefined,
): Promise<void> {
  if (!isRunning(child)) return;
  const timer = setTimeout(() => {
    onKill();
    child.kill('SIGKILL');
  }, patienceMs);
  child.kill('SIGTERM');
  await ended(child);
  clearTimeout(timer);
}

/** Why nothing can listen on `host:port` now (`EADDRINUSE`, …); undefined when it is free. */
export function bindFault(host: string | undefined, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, ...(host === undefined ? {} : { host }), exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}
