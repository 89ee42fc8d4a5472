/**
 * The node whose disk is damaged, in a process that starts and stops it many times: what a start costs is mostly Node.js itself. Everything
 * else is as in `server/main.ts`; where that would end the process, this one does.
 */

import { Writable } from 'node:stream';
import { pino } from 'pino';
import { loadConfig } from '../../configs/load.js';
import { StorageError } from '../../persistence/errors.js';
import type { RunningServer } from '../../server/start.js';
import { startServer } from '../../server/start.js';

export type HostOrder = { readonly do: 'start'; readonly configFile: string } | { readonly do: 'stop' };

export type HostWord =
  | { readonly is: 'started' | 'stopped' }
  | { readonly is: 'refused' | 'ended'; readonly fault: string; readonly message: string }
  | { readonly is: 'log'; readonly line: string };

function say(word: HostWord, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(word, then);
}

const lines = new Writable({
  write(chunk, _encoding, done) {
    say({ is: 'log', line: String(chunk) });
    done();
  },
});

function wordOf(is: 'refused' | 'ended', error: unknown): HostWord {
  const fault = error instanceof StorageError ? error.fault : 'bug';
  return { is, fault, message: error instanceof Error ? error.message : String(error) };
}

function end(error: unknown): void {
  say(wordOf('ended', error), () => process.exit(1));
}

let running: RunningServer | undefined;

async function start(configFile: string): Promise<void> {
  const config = loadConfig(configFile, {}, {});
  const logger = pino({ level: 'info', base: { node: config.raft.nodeID } }, lines);
  const { signal } = new AbortController();
  try {
    const departed = (): void => end(new Error('the node was removed'));
    running = await startServer({
      opened: () => undefined,
      ...{ config, logger, signal, version: '0.0.0', rejoin: false },
      ...{ fatal: end, broken: end, departed },
    });
    say({ is: 'started' });
  } catch (error) {
    say(wordOf('refused', error));
  }
}

async function stop(): Promise<void> {
  await running?.stop();
  running = undefined;
  say({ is: 'stopped' });
}

process.on('uncaughtException', end);
process.on('unhandledRejection', end);
process.on('disconnect', () => process.exit(0));
process.on('message', (order: HostOrder) => void (order.do === 'start' ? start(order.configFile) : stop()));
