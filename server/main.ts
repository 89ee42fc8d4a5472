#!/usr/bin/env node
/** `kv-server`: one node, from its configuration file, its flags or its environment. */

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { Config } from '../configs/config.js';
import { describeConfig } from '../configs/describe.js';
import type { Flags } from '../configs/flags.js';
import { loadConfig } from '../configs/load.js';
import { ConfigError } from '../configs/problem.js';
import { EngineUnavailableError, StorageError } from '../persistence/errors.js';
import { awaitEngineRest } from '../persistence/engine-rest.js';
import type { Storage } from '../persistence/storage.js';
import { ListenError } from './listeners.js';
import { DepartedError } from './members/departed.js';
import { forceNewCluster } from './force-new-cluster.js';
import type { RunningServer } from './start.js';
import { startServer } from './start.js';

/** What the process ends with; documented in the README. */
const EXIT = Object.freeze({
  clean: 0,
  /** Bad configuration or usage; an address that can't be listened on; a storage engine that doesn't load. */
  usage: 1,
  /** The data directory can't be used. */
  dataDir: 2,
  /** The disk failed while running. */
  disk: 3,
  /** A broken invariant: a mistake of this program (EX_SOFTWARE of sysexits.h). */
  bug: 70,
});

interface Options extends Flags {
  readonly config?: string;
  readonly check?: boolean;
  readonly rejoin?: boolean;
  readonly forceNewCluster?: boolean;
}

const HELP = `
Examples:
  kv-server --config configs/config1.yaml            one node of the cluster in the file
  kv-server --config configs/config1.yaml --check    validate the file, print what it amounts to
  kv-server --id n1 --listen 127.0.0.1:9101 --data-dir data/n1 \\
            --peers n1=127.0.0.1:9101,n2=127.0.0.1:9102,n3=127.0.0.1:9103

Every key of the file is explained in configs/default.yaml. KV_NODE_ID, KV_HTTP_ADDR, KV_RPC_ADDR, KV_RAFT_ADDR,
KV_DATA_DIR and KV_PEERS override the file.

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 bad configuration or usage, 2 the data directory can't be used,
3 the disk failed while running, 70 a broken invariant (please report it).`;

function parseArguments(version: string): Options {
  return new Command('kv-server')
    .description('One node of quorumkv, a distributed key-value store on Raft.')
    .version(version)
    .option('-c, --config <file>', 'configuration file, YAML or JSON')
    .option('--check', 'validate the configuration, print it with every default filled in, and exit')
    .option('--id <id>', "this node's id")
    .option('--listen <host:port>', 'one address for clients, control plane and consensus')
    .option('--peers <list>', 'the first voters, this node among them: n1=host:port,n2=host:port')
    .option('--data-dir <dir>', 'where this node keeps its data')
    .option(
      '--rejoin',
      "set this node's data aside and rejoin its cluster: for a directory that was restored from a copy",
    )
    .option(
      '--force-new-cluster',
      'make this node the whole cluster and exit, when the others are lost for good; what it had not received is lost',
    )
    .allowExcessArguments(false)
    .showHelpAfterError('(kv-server --help shows the options)')
    .addHelpText('after', HELP)
    .exitOverride()
    .parse()
    .opts<Options>();
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  const { version } = parsed as { version: string };
  return version;
}

/** One line on standard error: what is wrong, where, and what to do. */
function complain(error: unknown): void {
  const lines =
    error instanceof ConfigError ? error.problems : [error instanceof Error ? error.message : String(error)];
  for (const line of lines) process.stderr.write(`kv-server: ${line}\n`);
}

function exitCodeOf(error: unknown): number {
  if (error instanceof StorageError) return error.fault === 'write' ? EXIT.disk : EXIT.dataDir;
  if (error instanceof ConfigError || error instanceof ListenError) return EXIT.usage;
  if (error instanceof EngineUnavailableError) return EXIT.usage;
  return EXIT.bug;
}

function loggerOf(config: Config): Logger {
  return pino({ level: config.raft.logLevel, base: { node: config.raft.nodeID } });
}

async function serve(config: Config, version: string, rejoin: boolean): Promise<void> {
  const logger = loggerOf(config);
  const abort = new AbortController();
  let running: RunningServer | undefined;

  const onSignal = (signal: NodeJS.Signals): void => {
    // The second one does not wait.
    if (abort.signal.aborted) process.exit(128 + (signal === 'SIGINT' ? 2 : 15));
    logger.info({ signal }, 'stopping');
    abort.abort();
    if (running !== undefined) void stop(running, logger);
  };
  /** The others go on without this node: it ends like one that was told to. */
  const leave = (why: DepartedError): void => {
    if (abort.signal.aborted) return;
    logger.warn(why.message);
    abort.abort();
    if (running !== undefined) void stop(running, logger);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (error) => end(error, logger));
  process.on('unhandledRejection', (error) => end(error, logger));

  const { signal } = abort;
  try {
    running = await startServer({
      config,
      version,
      logger,
      rejoin,
      signal,
      fatal: (error) => end(error, logger),
      broken: (error) => end(error, logger),
      opened: (properties) => (engineProperties = properties),
      departed: () => leave(new DepartedError(config.raft.nodeID, config.raft.dataDir)),
    });
    const { httpAddr, rpcAddr, raft } = config;
    logger.info(
      { http: httpAddr, rpc: rpcAddr, raft: raft.bindAddr, pid: process.pid },
      `${raft.nodeID} listens`,
    );
  } catch (error) {
    if (error instanceof DepartedError) leave(error);
    if (!signal.aborted) throw error;
    process.exit(EXIT.clean);
  }
  if (signal.aborted) await stop(running, logger);
}

async function stop(running: RunningServer, logger: Logger): Promise<void> {
  try {
    await running.stop();
    process.exit(EXIT.clean);
  } catch (error) {
    end(error, logger);
  }
}

/** What the engine says of the databases that are open. */
let engineProperties: Storage['properties'] = () => [];

/** Nothing else happens meanwhile: no timer, no answer. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** At once: after a failed write or a broken invariant nothing may be acknowledged any more. */
function end(error: unknown, logger: Logger): never {
  logger.fatal({ err: error }, 'the node stops');
  complain(error);
  awaitEngineRest(engineProperties, standStill);
  process.exit(exitCodeOf(error));
}

async function main(): Promise<void> {
  try {
    const version = packageVersion();
    const { config: file, check, rejoin = false, forceNewCluster: force, ...flags } = parseArguments(version);
    const config = loadConfig(file, process.env, flags);
    if (check === true) process.stdout.write(describeConfig(config));
    else if (force === true) await forceNewCluster(config, loggerOf(config));
    else await serve(config, version, rejoin);
  } catch (error) {
    if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? EXIT.clean : EXIT.usage);
    complain(error);
    process.exit(exitCodeOf(error));
  }
}

await main();
