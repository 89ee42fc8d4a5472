/** Clusters of real nodes: processes on ports of the kernel's choice, with data in a temporary folder. */

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { stringify } from 'yaml';
import { HttpClient } from './http.js';
import { freePorts } from './ports.js';
import { ServerProcess } from './server-process.js';
import { waitFor } from './wait-for.js';

const READY_MS = 20_000;
const LEADER_MS = 15_000;
const STOP_MS = 10_000;
/** A port may be taken between its choice and its use; then everything starts anew. */
const STARTS_MAX = 3;

export interface ClusterOptions {
  /** Default: 3. */
  readonly nodes?: number;
  /** Further keys at the top of every configuration file. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Where the others are to reach a node for consensus, by its id and the address that it listens on; default: there. */
  readonly raftAddress?: (id: string, bound: string) => Promise<string>;
  /** Further variables of a node's environment; asked for at each start. */
  readonly env?: (id: string) => Readonly<Record<string, string>>;
  /** Further keys under `raft`. */
  readonly raft?: Readonly<Record<string, unknown>>;
}

export interface Addresses {
  readonly raft: string;
  readonly rpc: string;
  readonly http: string;
}

interface Member {
  readonly id: string;
  readonly addresses: Addresses;
  readonly url: string;
  readonly configFile: string;
  process: ServerProcess | undefined;
  /** Of its last start. */
  flags: readonly string[];
}

/** Starts a cluster and waits until every node is ready; it ends with the test. */
export async function startCluster(t: ExecutionContext, options: ClusterOptions = {}): Promise<Cluster> {
  for (let attempt = 1; ; attempt += 1) {
    const cluster = await Cluster.create(options);
    t.teardown(() => cluster.close());
    try {
      cluster.startAll();
      await cluster.ready();
      return cluster;
    } catch (error) {
      const portTaken = cluster.ids.some((id) => cluster.foundPortTaken(id));
      if (!portTaken || attempt === STARTS_MAX) throw error;
      await cluster.close();
    }
  }
}

export class Cluster {
  readonly http = new HttpClient();
  readonly folder: string;
  readonly #members: Map<string, Member>;
  readonly #settings: NonNullable<ClusterOptions['settings']>;
  readonly #env: NonNullable<ClusterOptions['env']>;
  readonly #guard: ChildProcess;
  #closed = false;

  private constructor(folder: string, members: readonly Member[], options: ClusterOptions) {
    this.folder = folder;
    this.#settings = options.settings ?? {};
    this.#env = options.env ?? (() => ({}));
    this.#members = new Map(members.map((member) => [member.id, member]));
    const guard = path.join(import.meta.dirname, 'guard.js');
    // In a process group of its own, so that whatever ends the tests does not end it too.
    this.#guard = spawn(process.execPath, [guard], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
    this.#guard.stdin?.on('error', () => undefined);
    this.#tellGuard(`folder ${folder}`);
  }

  /** The files of a cluster that does not run yet. */
  static async create(options: ClusterOptions): Promise<Cluster> {
    const count = options.nodes ?? 3;
    const ports = await freePorts(count * 3);
    const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-test-'));
    const address = (port: number | undefined): string => `127.0.0.1:${port ?? 0}`;
    const bound = Array.from({ length: count }, (_, at) => ({
      id: `n${at + 1}`,
      raft: address(ports[at * 3]),
      rpc: address(ports[at * 3 + 1]),
      http: address(ports[at * 3 + 2]),
    }));
    const raftAddress = options.raftAddress ?? ((_, given) => Promise.resolve(given));
    const peers = await Promise.all(
      bound.map(async (peer) => ({ ...peer, raft: await raftAddress(peer.id, peer.raft) })),
    );
    const members = bound.map(({ id, raft, rpc, http }): Member => {
      const configFile = path.join(folder, `${id}.yaml`);
      const advertisedAddr = peers.find((peer) => peer.id === id)?.raft;
      const raftSettings = {
        nodeID: id,
        bindAddr: raft,
        advertisedAddr,
        dataDir: path.join(folder, id),
        logLevel: 'info',
        ...options.raft,
      };
      const cluster = { name: 'test', peers };
      const config = { rpcAddr: rpc, httpAddr: http, raft: raftSettings, cluster, ...options.settings };
      writeFileSync(configFile, stringify(config));
      return {
        id,
        url: `http://${http}`,
        configFile,
        addresses: { raft, rpc, http },
        process: undefined,
        flags: [],
      };
    });
    return new Cluster(folder, members, options);
  }

  /** The files of one more node, on new ports, that asks these nodes to be taken in; with further keys under `raft`. */
  async addNode(id: string, join: readonly string[], raftKeys: object = {}): Promise<Addresses> {
    const [raft = '', rpc = '', http = ''] = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
    this.#configure(
      id,
      { raft, rpc, http },
      { name: 'test', join: join.map((other) => this.addresses(other).rpc) },
      raftKeys,
    );
    return { raft, rpc, http };
  }

  /** Other addresses for nodes that are down, in all of their files. */
  async moveAll(): Promise<void> {
    const ports = await freePorts(this.ids.length * 3);
    const peers = this.ids.map((id, at) => {
      const [raft = '', rpc = '', http = ''] = ports
        .slice(at * 3, at * 3 + 3)
        .map((port) => `127.0.0.1:${port}`);
      return { id, raft, rpc, http };
    });
    for (const { id, ...addresses } of peers) this.#configure(id, addresses, { name: 'test', peers });
  }

  /** Other addresses for one node that is down; the other files do not know of it. */
  async move(id: string): Promise<void> {
    const [raft = '', rpc = '', http = ''] = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
    const peers = this.ids.map((other) => ({
      id: other,
      ...(other === id ? { raft, rpc, http } : this.addresses(other)),
    }));
    this.#configure(id, { raft, rpc, http }, { name: 'test', peers });
  }

  #configure(id: string, addresses: Addresses, cluster: object, raftKeys: object = {}): void {
    const configFile = path.join(this.folder, `${id}.yaml`);
    const { raft, rpc, http } = addresses;
    const raftSettings = {
      nodeID: id,
      bindAddr: raft,
      dataDir: this.dataDir(id),
      logLevel: 'info',
      ...raftKeys,
    };
    writeFileSync(
      configFile,
      stringify({ rpcAddr: rpc, httpAddr: http, raft: raftSettings, cluster, ...this.#settings }),
    );
    this.#members.set(id, {
      id,
      url: `http://${http}`,
      configFile,
      addresses,
      process: undefined,
      flags: [],
    });
  }

  dataDir(id: string): string {
    return path.join(this.folder, id);
  }

  addresses(id: string): Addresses {
    return this.#member(id).addresses;
  }

  get ids(): readonly string[] {
    return [...this.#members.keys()];
  }

  get urls(): readonly string[] {
    return [...this.#members.values()].map(({ url }) => url);
  }

  url(id: string): string {
    return this.#member(id).url;
  }

  /** The newest lines that the node's present, or last, process logged. */
  logs(id: string): readonly string[] {
    return this.#member(id).process?.lines ?? [];
  }

  /** Whether the node's present, or last, process found another one on one of its ports. */
  foundPortTaken(id: string): boolean {
    return this.logs(id).some((line) => line.includes('another process listens there'));
  }

  isRunning(id: string): boolean {
    return this.#member(id).process?.running === true;
  }

  startAll(): void {
    for (const id of this.ids) this.start(id);
  }

  start(id: string, flags: readonly string[] = []): void {
    const member = this.#member(id);
    if (this.#closed) throw new Error('the cluster is closed');
    if (member.process?.running === true) throw new Error(`${id} runs already`);
    const started = new ServerProcess(member.configFile, flags, this.#env(id));
    member.process = started;
    member.flags = flags;
    this.#tellGuard(`pid ${started.pid ?? 0}`);
    void started.ended().then(() => this.#tellGuard(`gone ${started.pid ?? 0}`));
  }

  /** Starts a node that is down, and waits until it is ready. */
  async restart(id: string): Promise<void> {
    this.start(id);
    await this.ready([id]);
  }

  /** `kill -9`; resolves once the process is gone. */
  async kill9(id: string): Promise<void> {
    const { process: running } = this.#member(id);
    running?.signal('SIGKILL');
    await running?.ended();
  }

  /** Resolves once a process has ended by itself, with its exit code. */
  async exitCode(id: string, deadlineMs = READY_MS): Promise<number | null> {
    const { process: ending } = this.#member(id);
    await this.waitFor(`${id} ends`, () => ending?.running !== true, deadlineMs);
    return ending === undefined ? null : ending.ended();
  }

  /** SIGTERM; resolves with the exit code. Rejects when the node is not gone in time. */
  async stop(id: string, deadlineMs = STOP_MS): Promise<number | null> {
    const { process: running } = this.#member(id);
    if (running === undefined) throw new Error(`${id} was never started`);
    running.signal('SIGTERM');
    await this.waitFor(`${id} stops`, () => !running.running, deadlineMs);
    return running.ended();
  }

  pause(id: string): void {
    this.#member(id).process?.signal('SIGSTOP');
  }

  resume(id: string): void {
    this.#member(id).process?.signal('SIGCONT');
  }

  /** Waits until these nodes (default: those that run) answer /readyz with 200. */
  async ready(ids: readonly string[] = this.#running(), deadlineMs = READY_MS): Promise<void> {
    const probe = async (id: string): Promise<boolean> => {
      const { process: node, url, flags } = this.#member(id);
      if (node?.running !== true) {
        if (!this.foundPortTaken(id)) return true;
        // While a node is down, a test beside this one may be handed its port for a while.
        this.start(id, flags);
        return false;
      }
      const { status, body } = await this.http.call(url, 'GET', '/readyz', undefined, 2_000);
      if (status !== 200) throw new Error(`/readyz answers ${status} ${JSON.stringify(body)}`);
      return true;
    };
    await Promise.all(ids.map((id) => this.waitFor(`${id} is ready`, () => probe(id), deadlineMs)));
    const down = ids.filter((id) => !this.isRunning(id));
    if (down.length > 0) throw new Error(`ended at once: ${down.join(', ')}\n${this.#state()}`);
  }

  /** The id of the leader that a majority of the cluster agrees on; waits for one. */
  async leader(deadlineMs = LEADER_MS): Promise<string> {
    return this.waitFor(
      'a majority agrees on a leader that runs',
      async () => {
        const views = await Promise.all(this.#running().map((id) => this.#leaderSeenBy(id)));
        return this.ids.find(
          (id) => this.isRunning(id) && views.filter((seen) => seen === id).length * 2 > this.ids.length,
        );
      },
      deadlineMs,
    );
  }

  async #leaderSeenBy(id: string): Promise<unknown> {
    try {
      return (await this.http.call(this.url(id), 'GET', '/status', undefined, 1_000)).body['leaderId'];
    } catch {
      return undefined;
    }
  }

  /** A number of a node's /status, such as `lastApplied`. */
  async statusNumber(id: string, name: string): Promise<number> {
    const { body } = await this.http.call(this.url(id), 'GET', '/status', undefined, 2_000);
    const value = body[name];
    if (typeof value !== 'number') throw new Error(`/status of ${id} has no number ${name}`);
    return value;
  }

  /** Waits until every running node has applied what the furthest one has committed by now. */
  async caughtUp(deadlineMs = READY_MS): Promise<void> {
    const ids = this.#running();
    const commits = await Promise.all(ids.map((id) => this.statusNumber(id, 'commitIndex')));
    const target = Math.max(...commits);
    await this.waitFor(
      `all have applied ${target}`,
      async () => {
        const applied = await Promise.all(ids.map((id) => this.statusNumber(id, 'lastApplied')));
        return applied.every((index) => index >= target);
      },
      deadlineMs,
    );
  }

  /** As `waitFor`; the error also tells the state of every node and what it logged last. */
  async waitFor<T>(
    description: string,
    probe: () => T | Promise<T>,
    deadlineMs: number,
  ): Promise<NonNullable<Exclude<T, false>>> {
    try {
      return await waitFor(description, probe, deadlineMs);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${message}\n${this.#state()}`, { cause: error });
    }
  }

  /** Ends every process and removes every file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all(this.ids.map((id) => this.kill9(id)));
    this.http.close();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
    this.#guard.stdin?.end();
    this.#guard.unref();
  }

  #running(): readonly string[] {
    return this.ids.filter((id) => this.isRunning(id));
  }

  #member(id: string): Member {
    const member = this.#members.get(id);
    if (member === undefined) throw new Error(`there is no node ${id}`);
    return member;
  }

  #tellGuard(line: string): void {
    if (this.#guard.stdin?.writable === true) this.#guard.stdin.write(`${line}\n`);
  }

  #state(): string {
    return this.ids
      .map((id) => {
        const node = this.#member(id).process;
        const lines = (node?.lines ?? []).slice(-8).map((line) => `    ${line.slice(0, 300)}`);
        return [`  ${id}: ${node?.describe() ?? 'not started'}`, ...lines].join('\n');
      })
      .join('\n');
  }
}
