/** The log in the plainest way, and random histories of it. */

import fc from 'fast-check';
import type { LogBatch, RecoveredLog } from '../../persistence/log-store.js';
import type { Configuration } from '../../membership/configuration.js';
import { decodeConfiguration, encodeConfiguration } from '../../membership/configuration.js';
import type { ConfigurationAt, Entry, EntryType, HardState, Position, Snapshot } from '../../raft/entry.js';
import { entryBytes } from '../../raft/entry.js';

const ALL = Number.MAX_SAFE_INTEGER;

/** Who the members are at a base; of no interest to most tests. */
export const MEMBERS: Configuration = { clusterId: 'c1', members: [] };

export function behind(base: Position): Snapshot {
  return { ...base, configuration: MEMBERS, configurationIndex: 1 };
}

/** What is written, in the plainest way. */
export interface Model {
  base: Position;
  entries: Entry[];
  hardState: HardState | undefined;
}

export function lastIndexOf(model: Model): number {
  return model.base.index + model.entries.length;
}

/** A base that the log may be compacted to: one of its committed entries. */
export function compactionOf(model: Model, drawn: number): Position | undefined {
  const committed = model.entries.filter(({ index }) => index <= (model.hardState?.commit ?? 0));
  const chosen = committed[drawn % Math.max(1, committed.length)];
  if (chosen === undefined) return undefined;
  model.base = { index: chosen.index, term: chosen.term };
  model.entries = model.entries.filter(({ index }) => index > chosen.index);
  return model.base;
}

/** A base that the log may be reset to: before its end or behind it, but not before what is committed. */
export function resetOf(model: Model, drawn: number): Position | undefined {
  const { hardState: old } = model;
  if (old === undefined) return undefined;
  const index = Math.max(old.commit, model.base.index + 1) + (drawn % 12);
  model.base = { index, term: old.term };
  model.entries = [];
  model.hardState = { ...old, commit: index };
  return model.base;
}

/** What a recovered log is to say of its members, and of its size. */
export function recoveredOf(model: Model): Pick<RecoveredLog, 'bytes' | 'configurations'> {
  const { index, configuration, configurationIndex } = behind(model.base);
  const configurations: ConfigurationAt[] = index === 0 ? [] : [{ index: configurationIndex, configuration }];
  for (const entry of model.entries) {
    if (entry.type !== 'configuration') continue;
    configurations.push({ index: entry.index, configuration: decodeConfiguration(entry.data) });
  }
  return { configurations, bytes: model.entries.reduce((sum, entry) => sum + entryBytes(entry), 0) };
}

export function runsOf(entries: readonly Entry[]): Position[] {
  return entries
    .filter((each, i) => each.term !== entries[i - 1]?.term)
    .map(({ index, term }) => ({ index, term }));
}

export function tailOf(entries: readonly Entry[], bytesMax: number): Entry[] {
  for (let from = 0; from < entries.length; from += 1) {
    const rest = entries.slice(from);
    if (rest.reduce((sum, each) => sum + entryBytes(each), 0) <= bytesMax) return rest;
  }
  return [];
}

export function firstWithin(entries: readonly Entry[], bytesMax: number): Entry[] {
  let bytes = 0;
  const end = entries.findIndex((each, i) => {
    bytes += each.data.length;
    return i > 0 && bytes > bytesMax;
  });
  return end === -1 ? [...entries] : entries.slice(0, end);
}

type Step =
  | {
      readonly do: 'append';
      readonly back: number;
      readonly terms: readonly number[];
      readonly sizes: readonly number[];
      readonly type: EntryType;
      readonly vote: string | undefined;
      readonly commit: number;
    }
  | { readonly do: 'read'; readonly from: number; readonly count: number; readonly bytesMax: number }
  | { readonly do: 'compact'; readonly to: number }
  | { readonly do: 'reset'; readonly to: number }
  | { readonly do: 'reopen'; readonly tailBytesMax: number };

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      /** How many entries are replaced, as far as they are not committed. */
      back: fc.oneof(fc.constant(0), fc.nat(8)),
      /** By how much the term grows at each entry. */
      terms: fc.array(fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(3)), { maxLength: 8 }),
      sizes: fc.array(fc.nat(300), { minLength: 8, maxLength: 8 }),
      type: fc.constantFrom<EntryType[]>('command', 'noop', 'configuration'),
      vote: fc.option(fc.constantFrom('node1', 'node2', 'ノード'), { nil: undefined }),
      commit: fc.nat(4),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      from: fc.nat(1000),
      count: fc.nat(1000),
      bytesMax: fc.oneof(fc.nat(600), fc.constant(ALL)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('compact' as const), to: fc.nat(1000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), to: fc.nat(1000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reopen' as const),
      tailBytesMax: fc.oneof(fc.nat(1500), fc.constant(ALL)),
    }),
  },
);

/** Makes a legal batch of what was drawn, and applies it to the model. */
export function batchFor(model: Model, drawn: Step & { do: 'append' }): LogBatch {
  const commit = model.hardState?.commit ?? 0;
  const kept = Math.max(commit - model.base.index, model.entries.length - drawn.back, 0);
  const before = drawn.terms.length === 0 ? model.entries : model.entries.slice(0, kept);
  const first = model.base.index + before.length + 1;
  // A replacement comes from a leader of a later term (§5.3).
  let term = Math.max(
    before.at(-1)?.term ?? Math.max(1, model.base.term),
    before === model.entries ? 1 : (model.hardState?.term ?? 1),
  );
  const entries = drawn.terms.map((growth, i): Entry => {
    term += growth;
    const size = drawn.sizes[i] ?? 0;
    const data =
      drawn.type === 'configuration'
        ? encodeConfiguration({ clusterId: 'c'.repeat(size + 1), members: [] })
        : Buffer.alloc(size, 65 + i);
    return { index: first + i, term, type: drawn.type, data };
  });
  model.entries = [...before, ...entries];
  const old = model.hardState;
  const newTerm = Math.max(old?.term ?? 1, term);
  const vote = old !== undefined && newTerm === old.term && old.vote !== undefined ? old.vote : drawn.vote;
  model.hardState = {
    term: newTerm,
    vote,
    commit: Math.min(lastIndexOf(model), commit + drawn.commit),
  };
  return { entries, hardState: model.hardState };
}
