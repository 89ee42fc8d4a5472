/**
 * Damages one file after the other of a node that is stopped, starts it again in its cluster, and holds everything that any node then answers against what was
 * acknowledged. Each time the node has to repair itself or to refuse; a fault of the product rejects.
 */

import { rmSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { Cluster } from '../integration/cluster.js';
import { NoAnswer } from '../integration/http.js';
import { waitFor } from '../integration/wait-for.js';
import { Random } from '../simulation/random.js';
import type { Damage, FaultKind } from './damage.js';
import { damageOne } from './damage.js';
import { HostedNode } from './hosted-node.js';
import { PREFIX, Truth, listing } from './truth.js';

/** Also on a busy machine. */
const PATIENCE_MS = 120_000;
const KEYS = 150;
const GETS = 25;
/** A node may end once it finds the damage that its start did not, and is started again, as by a supervisor. */
const STARTS_MAX = 3;
const VICTIM = 'n3';

export interface SweepOptions {
  readonly flips: number;
  readonly cuts: number;
  readonly seed: number;
  /** Default: rocksdb. */
  readonly engine?: string;
  readonly tell: (line: string) => void;
}

/**
 * - `no effect`: nothing of it was needed, or the damage was put right without a word.
 * - `state made anew`: from the node's own snapshots and log, or from the leader.
 * - `log filled up`: its lost end came from the others.
 * - `rejoined`: what the node had promised is given up; a new disk was taken in by the cluster.
 * - `refused`: exit code 2, one line; put back as it was, the file is as good as before.
 */
export type SweepOutcome = 'no effect' | 'state made anew' | 'log filled up' | 'rejoined' | 'refused';

/** Of each kind of file, how often what came of a fault in it. */
export type SweepTable = ReadonlyMap<string, ReadonlyMap<SweepOutcome, number>>;

export interface SweepReport {
  readonly table: SweepTable;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Stale reads of the damaged node while it started, each compared with what was there at its revision. */
  readonly earlyReads: number;
}

/** @throws Error for the first fault that was neither repaired nor refused, or changed what is read */
export async function sweep(options: SweepOptions): Promise<SweepReport> {
  const snapshots = { snapshotInterval: 0.2, snapshotThreshold: 1024, trailingLog: '64KiB', maxSnapshots: 2 };
  const raft = { ...snapshots, electionTimeout: ['800ms', '1600ms'] };
  const settings = { storage: { engine: options.engine ?? 'rocksdb' } };
  const cluster = await Cluster.create({ raft, settings });
  const run = new Run(cluster, options);
  try {
    return await run.all();
  } finally {
    await run.close();
  }
}

class Run {
  readonly #cluster: Cluster;
  readonly #options: SweepOptions;
  readonly #node: HostedNode;
  readonly #dataDir: string;
  readonly #random: Random;
  readonly #truth = new Truth();
  readonly #table = new Map<string, Map<SweepOutcome, number>>();
  #earlyReads = 0;
  #writes = 0;

  constructor(cluster: Cluster, options: SweepOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#node = new HostedNode(path.join(cluster.folder, `${VICTIM}.yaml`));
    this.#dataDir = cluster.dataDir(VICTIM);
    this.#random = new Random(options.seed);
  }

  async all(): Promise<SweepReport> {
    for (const id of this.#cluster.ids) if (id !== VICTIM) this.#cluster.start(id);
    this.#node.start();
    await this.#cluster.ready(undefined, PATIENCE_MS);
    await this.#serves();
    for (let at = 0; at < KEYS; at += 1) await this.#write(`${PREFIX}${at}`);
    const { flips, cuts, tell } = this.#options;
    const kinds: FaultKind[] = [
      ...Array.from({ length: flips }, (): FaultKind => 'flip'),
      ...Array.from({ length: cuts }, (): FaultKind => 'cut'),
    ];
    const outcomes: Record<string, number> = {};
    for (const [at, kind] of kinds.entries()) {
      const { damage, outcome } = await this.#fault(kind, at % 2 === 0);
      const row = this.#table.get(damage.group) ?? new Map<SweepOutcome, number>();
      row.set(outcome, (row.get(outcome) ?? 0) + 1);
      this.#table.set(damage.group, row);
      const name = `${kind}: ${outcome}`;
      outcomes[name] = (outcomes[name] ?? 0) + 1;
      tell(`${at + 1} of ${kinds.length}: ${damage.file} ${kind} at ${damage.at}: ${outcome}`);
    }
    return { table: this.#table, outcomes, earlyReads: this.#earlyReads };
  }

  async close(): Promise<void> {
    await this.#node.kill();
    await this.#cluster.close();
  }

  async #fault(kind: FaultKind, byKind: boolean): Promise<{ damage: Damage; outcome: SweepOutcome }> {
    await this.#writeSome(5);
    this.#node.stop();
    await this.#waitFor('the node stops', () => this.#node.isDown);
    await this.#writeSome(5);
    const damage = damageOne(this.#dataDir, kind, byKind, this.#random);
    try {
      const outcome = await this.#startDamaged(damage);
      await this.#check();
      for (const name of readdirSync(this.#dataDir)) {
        if (name.startsWith('set-aside-')) rmSync(path.join(this.#dataDir, name), { recursive: true });
      }
      return { damage, outcome };
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      const lines = this.#node.lines.slice(-10).join('');
      const { ending } = this.#node;
      const said = ending === undefined ? '' : ` (${ending.is}, ${ending.fault}: ${ending.message})`;
      throw new Error(`${damage.file} ${kind} at ${damage.at}: ${what}${said}\n${lines}`, { cause: error });
    }
  }

  async #startDamaged(damage: Damage): Promise<SweepOutcome> {
    const lines: string[] = [];
    for (let start = 1; ; start += 1) {
      this.#node.start();
      const serves = await this.#serves();
      lines.push(...this.#node.lines);
      if (serves) return outcomeOf(lines);
      const { ending } = this.#node;
      if (
        ending === undefined ||
        ending.fault === 'bug' ||
        ending.fault === 'crash' ||
        ending.fault === 'write'
      )
        throw new Error('the node neither repairs itself nor refuses');
      if (ending.message.includes('\n')) throw new Error('the refusal is more than one line');
      if (ending.is === 'ended' && start < STARTS_MAX) continue;
      damage.undo();
      this.#node.start();
      if (!(await this.#serves())) throw new Error('a refusal changed what it refused');
      return 'refused';
    }
  }

  /** Waits until it answers with everything that was acknowledged (true), or is down (false). Until then nothing that it says may be wrong. */
  #serves(): Promise<boolean> {
    const { http } = this.#cluster;
    const url = this.#cluster.url(VICTIM);
    const probe = async (): Promise<'serves' | 'down' | undefined> => {
      if (this.#node.isDown) return 'down';
      const stale = await listing(http, url, 'stale', 10_000);
      if (stale.status !== 200) return undefined;
      this.#hold(stale, 'a stale listing while it starts');
      this.#earlyReads += 1;
      if (Number(stale.body['revision']) < this.#truth.newest) return undefined;
      const { status } = await http.call(url, 'GET', '/readyz', undefined, 10_000);
      return status === 200 ? 'serves' : undefined;
    };
    const wrong: { error?: Error } = {};
    return this.#waitFor('the node serves', async () => {
      try {
        return await probe();
      } catch (error) {
        if (error instanceof NoAnswer) return undefined;
        wrong.error = error instanceof Error ? error : new Error(String(error));
        return 'down';
      }
    }).then((what) => {
      if (wrong.error !== undefined) throw wrong.error;
      return what === 'serves';
    });
  }

  /** Everything, as every node has it. */
  async #check(): Promise<void> {
    const { http, ids } = this.#cluster;
    for (const id of ids) {
      const url = this.#cluster.url(id);
      for (const consistency of ['linearizable', 'stale'] as const) {
        // A busy machine may cost the leader its place meanwhile.
        const answer = await this.#waitFor(`${id} answers a ${consistency} listing`, async () => {
          const one = await listing(http, url, consistency, PATIENCE_MS);
          return one.status === 200 && one;
        });
        this.#hold(answer, `a ${consistency} listing of ${id}`);
      }
    }
    const keys = Array.from({ length: GETS }, () => this.#random.pick(this.#truth.keys));
    for (const key of keys) {
      const { status, body } = await http.get(this.#cluster.url(VICTIM), key, 'stale');
      const wanted = this.#truth.valueAt(key, this.#truth.newest);
      if (status !== (wanted === undefined ? 404 : 200) || body['value'] !== wanted?.value)
        throw new Error(`a stale read of ${key} is answered ${status} ${JSON.stringify(body).slice(0, 100)}`);
    }
  }

  #hold(answer: Parameters<Truth['faultOf']>[0], what: string): void {
    const fault = this.#truth.faultOf(answer);
    if (fault !== undefined) throw new Error(`${what}: ${fault}`);
  }

  async #writeSome(count: number): Promise<void> {
    for (let at = 0; at < count; at += 1) await this.#write(`${PREFIX}${this.#random.whole(0, KEYS - 1)}`);
  }

  /** Short values, long ones, and now and then a deletion; through a node that is not damaged. */
  async #write(key: string): Promise<void> {
    this.#writes += 1;
    const { http } = this.#cluster;
    const url = this.#cluster.url(this.#writes % 2 === 0 ? 'n1' : 'n2');
    const isThere = this.#truth.valueAt(key, this.#truth.newest) !== undefined;
    const value = isThere && this.#random.chance(0.15) ? undefined : this.#value();
    const [method, route, body] =
      value === undefined
        ? (['DELETE', `/delete?key=${encodeURIComponent(key)}`, undefined] as const)
        : (['POST', '/set', { key, value }] as const);
    await this.#waitFor('a write is acknowledged', async () => {
      const answer = await http.call(url, method, route, body);
      if (answer.status === 200) {
        this.#truth.acknowledged(key, value, Number(answer.body['revision']));
        return true;
      }
      if (answer.body['outcome'] !== 'not-applied') throw new Error(`a write is answered ${answer.status}`);
      return false;
    });
  }

  #value(): string {
    const bytes = this.#random.chance(0.03) ? 40_000 : this.#random.whole(10, 600);
    return `${this.#writes}:`.padEnd(bytes, this.#random.next().toString(36).slice(2));
  }

  #waitFor<T>(what: string, probe: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
    return waitFor(what, probe, PATIENCE_MS);
  }
}

function outcomeOf(lines: readonly string[]): SweepOutcome {
  const said = (text: string): boolean => lines.some((line) => line.includes(text));
  if (said('is set aside; delete it')) return 'rejoined';
  if (said('it is made anew')) return 'state made anew';
  if (said('is filled up')) return 'log filled up';
  return 'no effect';
}
