/**
 * Many independent operations in one round trip. They are carried out in rounds: each key's operations are cut into runs of reads and of
 * writes, and a round is the next run of every key, all its writes proposed together, all its reads answered from
 * one view. Most pipelines are one round.
 */

import { PIPELINE_READ_BYTES_MAX } from '../api/limits.js';
import type { Write, WriteResult } from '../kv/command.js';
import type { Index } from '../raft/entry.js';
import type { Decision } from './proposer.js';
import { refusedBehind, writeResultOf } from './proposer.js';
import { ServiceError } from './service.js';
import type { PipelineOp, PipelineOutcome, PipelineResult, ReadResult } from './service.js';

/** Keys that one read takes: so many values may be in memory before they are counted. */
const READ_KEYS_MAX = 64;

export interface PipelineParts {
  /** The applied index now. */
  readonly revision: () => Index;
  /** An index asked for after this call at which reads are fresh; undefined: not in time. */
  readonly fresh: () => Promise<Index | undefined>;
  /** Resolves once the index is applied here. */
  readonly applied: (index: Index | undefined) => Promise<void>;
  readonly get: (keys: readonly string[]) => Promise<ReadResult>;
  readonly propose: (writes: readonly Write[]) => Promise<readonly Decision[]>;
}

interface Job {
  readonly op: PipelineOp;
  readonly at: number;
}

export async function runPipeline(parts: PipelineParts, ops: readonly PipelineOp[]): Promise<PipelineResult> {
  const pipeline = new Pipeline(parts);
  return pipeline.run(ops);
}

class Pipeline {
  readonly #parts: PipelineParts;
  readonly #outcomes: PipelineOutcome[] = [];
  /** By key: why nothing more is done with it. */
  readonly #failed = new Map<string, ServiceError>();
  /** One for all reads; asked for when the pipeline begins. */
  #index: Promise<Index | undefined> = Promise.resolve(0);
  /** What a read must reflect because this pipeline's writes were told so. */
  #written: Index = 0;
  #isIndexOld = false;
  #revision: Index = 0;
  #readBytes = 0;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  async run(ops: readonly PipelineOp[]): Promise<PipelineResult> {
    if (ops.some(({ op }) => op === 'get')) this.#askForIndex();
    for (const round of roundsOf(ops)) {
      const jobs = round.filter((job) => this.#mayGoOn(job));
      await Promise.all([this.#write(jobs), this.#read(jobs.filter(({ op }) => op.op === 'get'))]);
    }
    const revision = this.#revision === 0 ? this.#parts.revision() : this.#revision;
    return { outcomes: this.#outcomes, revision };
  }

  #askForIndex(): void {
    this.#isIndexOld = false;
    this.#index = this.#parts.fresh();
    // Whoever waits for it is told; if the writes come first, nobody waits yet.
    this.#index.catch(() => undefined);
  }

  #mayGoOn({ op, at }: Job): boolean {
    const failure = this.#failed.get(op.key);
    if (failure !== undefined) this.#outcomes[at] = { op: 'failed', error: refusedBehind(failure) };
    return failure === undefined;
  }

  async #write(jobs: readonly Job[]): Promise<void> {
    const writes = jobs.flatMap(({ op, at }) => (op.op === 'get' ? [] : [{ op, at }]));
    if (writes.length === 0) return;
    const decisions = await this.#parts.propose(writes.map(({ op }) => op));
    writes.forEach(({ op, at }, position) => {
      try {
        const result = writeResultOf(decisions[position]);
        this.#outcomes[at] = { op: op.op, result };
        this.#note(result);
      } catch (error) {
        this.#fail(op.key, at, error);
      }
    });
  }

  #note(result: WriteResult): void {
    if (result.status !== 'revision-mismatch') {
      this.#written = Math.max(this.#written, result.revision);
      this.#revision = Math.max(this.#revision, result.revision);
      return;
    }
    // What was decided here may be newer than the index of this pipeline's reads, and names no index of its own.
    this.#isIndexOld = true;
  }

  async #read(jobs: readonly Job[]): Promise<void> {
    if (jobs.length === 0) return;
    if (this.#isIndexOld) this.#askForIndex();
    const written = this.#written;
    try {
      const index = await this.#index;
      await this.#parts.applied(index === undefined ? undefined : Math.max(index, written));
    } catch (error) {
      for (const { op, at } of jobs) this.#fail(op.key, at, error);
      return;
    }
    for (let from = 0; from < jobs.length; from += READ_KEYS_MAX)
      await this.#readSome(jobs.slice(from, from + READ_KEYS_MAX));
  }

  async #readSome(jobs: readonly Job[]): Promise<void> {
    try {
      if (this.#readBytes >= PIPELINE_READ_BYTES_MAX) throw tooMuch();
      const { entries, revision } = await this.#parts.get(jobs.map(({ op }) => op.key));
      this.#revision = Math.max(this.#revision, revision);
      jobs.forEach(({ op, at }, position) => {
        const entry = entries[position];
        if (this.#readBytes >= PIPELINE_READ_BYTES_MAX) this.#fail(op.key, at, tooMuch());
        else this.#outcomes[at] = { op: 'get', entry };
        this.#readBytes += entry?.value.length ?? 0;
      });
    } catch (error) {
      for (const { op, at } of jobs) this.#fail(op.key, at, error);
    }
  }

  #fail(key: string, at: number, error: unknown): void {
    if (!(error instanceof ServiceError)) throw error;
    this.#outcomes[at] = { op: 'failed', error };
    if (!this.#failed.has(key)) this.#failed.set(key, error);
  }
}

/** The jobs of each round, in order: per key, a run of reads or of writes. */
function roundsOf(ops: readonly PipelineOp[]): Job[][] {
  const reads = ops.reduce((count, { op }) => count + Number(op === 'get'), 0);
  // Nothing but reads, or nothing but writes: all of it is one run on every key.
  if (reads === 0 || reads === ops.length) return [ops.map((op, at) => ({ op, at }))];
  const rounds: Job[][] = [];
  const last = new Map<string, { readonly round: number; readonly isRead: boolean }>();
  ops.forEach((op, at) => {
    const isRead = op.op === 'get';
    const before = last.get(op.key);
    const round = before === undefined ? 0 : before.isRead === isRead ? before.round : before.round + 1;
    last.set(op.key, { round, isRead });
    (rounds[round] ??= []).push({ op, at });
  });
  return rounds;
}

function tooMuch(): ServiceError {
  return new ServiceError(
    'too-large',
    `one pipeline answers with ${PIPELINE_READ_BYTES_MAX} bytes of values; ask for this one again`,
    { outcome: 'not-applied' },
  );
}
