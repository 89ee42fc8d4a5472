/** One run from one seed: faults and clients, then heal, converge, serve, and look whether anything is lost. */

import { checkHistory } from '../linearizability/checker.js';
import type { Operation } from '../linearizability/history.js';
import { describeOperation } from '../linearizability/history.js';
import { SimulatedCluster } from './cluster.js';
import type { Fault } from './faults.js';
import { describeFault, drawFaults, inject } from './faults.js';
import type { Host } from './host.js';
import { belongs, isMemberFault, isSettled } from './member-faults.js';
import { Random } from './random.js';
import { drawSettings, drawSnapshots } from './settings.js';
import { Client } from './workload.js';

export interface RunOptions {
  readonly seed: number;
  /** Instead of what the seed draws; for finding out which faults a failure needs. */
  readonly faults?: readonly Fault[];
  /** Takes the lines of the trace. */
  readonly traceTo?: (line: string) => void;
}

export interface RunReport {
  readonly seed: number;
  readonly steps: number;
  readonly simulatedMs: number;
  readonly operations: number;
  readonly acknowledged: number;
  readonly faults: ReadonlyMap<string, number>;
  /** Equal for equal runs. */
  readonly digest: number;
}

export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly log: readonly string[];
  constructor(
    seed: number,
    message: string,
    faults: readonly Fault[],
    log: readonly string[],
    cause: unknown,
  ) {
    super(`seed ${seed}: ${message}`, { cause });
    this.seed = seed;
    this.faults = faults;
    this.log = log;
  }
}

/** Few patient clients for a while, or many that press for a shorter one; with next to none, logs stay level while leaders change. */
const PACES = [
  { stormMs: 2000, clients: [1, 5], patienceMs: 2500, thinkMs: 40, leaseShare: 0.3 },
  { stormMs: 2000, clients: [2, 6], patienceMs: 600, thinkMs: 20, leaseShare: 0.1 },
  { stormMs: 2000, clients: [1, 2], patienceMs: 1000, thinkMs: 400, leaseShare: 0.5 },
  { stormMs: 900, clients: [5, 10], patienceMs: 300, thinkMs: 6, leaseShare: 0.5 },
] as const;
/** From the healing on: elections, catching up, and what was asked before. */
const CONVERGE_MS = 10_000;
/** Ten times what the longest of many hundred healthy runs takes, and far more than any does at one moment. */
const LIMITS = { stepsMax: 600_000, stepsAtOnceMax: 20_000 };
/** Machines that may come in. */
const SPARES = 2;

export async function simulate({ seed, faults: given, traceTo }: RunOptions): Promise<RunReport> {
  const random = new Random(seed);
  const nodes = random.pick([1, 2, 2, 3, 3, 3, 4, 4, 5, 5]);
  const pace = random.pick(PACES);
  const drawn = given ?? drawFaults(random.fork(), pace.stormMs);
  // In the specification that a trace is held against, no disk loses anything, and no server is added.
  const faults =
    traceTo === undefined
      ? drawn
      : drawn.filter(({ kind }) => !kind.startsWith('lost-') && !isMemberFault(kind));
  const cluster = new SimulatedCluster(nodes, random.fork(), {
    settings: drawSettings(random),
    snapshots: drawSnapshots(random),
    spares: faults.some(({ kind }) => isMemberFault(kind)) ? SPARES : 0,
    limits: LIMITS,
    ...(traceTo && { traceTo }),
  });
  const { world, journal } = cluster;
  const history: Operation[] = [];
  const parts = {
    world,
    network: cluster.network,
    hosts: cluster.hostList,
    random: random.fork(),
    history,
    pace,
    oracle: cluster.oracle,
    fail: (error: unknown) => cluster.fail(error),
  };
  const clients = Array.from(
    { length: random.whole(pace.clients[0], pace.clients[1]) },
    (_, at) => new Client(`c${at + 1}`, parts),
  );
  journal.note(`seed ${seed}: ${nodes} nodes, ${clients.length} clients, ${faults.length} faults`);
  try {
    for (const fault of faults) {
      world.after(fault.atMs, () => inject(cluster, fault, new Random(fault.roll)));
    }
    for (const client of clients) client.start();
    await cluster.run(pace.stormMs);
    await recover(cluster, clients);
    for (const client of clients) client.finish();
    const verdict = checkHistory(history);
    if (verdict.type !== 'linearizable')
      throw new Error(`${verdict.type} on key ${verdict.key}\n${verdict.report}`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const log = [...journal.lines(), ...history.map(describeOperation)];
    throw new SimulationFailure(seed, message, faults, log, error);
  }
  return {
    seed,
    steps: world.steps,
    simulatedMs: world.nowMs,
    operations: history.length,
    acknowledged: history.filter(
      ({ outcome }) => outcome.type !== 'unknown' && outcome.type !== 'not-applied',
    ).length,
    faults: journal.faults,
    digest: journal.digest,
  };
}

/** Safety was checked all along; this is liveness: a healed cluster serves, agrees, and has kept everything. */
async function recover(cluster: SimulatedCluster, clients: readonly Client[]): Promise<void> {
  const { world, journal } = cluster;
  for (const client of clients) client.stop();
  cluster.heal();
  journal.note('healed');
  const untilMs = world.nowMs + CONVERGE_MS;
  const [client] = clients;
  if (client === undefined) throw new Error('a run has a client');
  if (!(await cluster.run(untilMs, () => isSettled(cluster)))) throw new Error(unsettled(cluster));
  // A removal that was asked for before may still be carried out: its request was on its way.
  const members = (): Host[] => {
    const configuration = cluster.leader()?.node?.configuration;
    return cluster.hostList.filter((host) => configuration !== undefined && belongs(configuration, host));
  };
  // What was written is read back through every node, into the same history.
  for (const host of members()) {
    for (const key of ['a', 'b', 'c']) {
      let answered = false;
      client.read(host, key, () => (answered = true));
      const isLeft = (): boolean => isSettled(cluster) && !members().includes(host);
      if (!(await cluster.run(untilMs, () => answered || isLeft())))
        throw new Error(`${host.id} does not serve after everything healed`);
    }
  }
  const converged = (): boolean => isSettled(cluster) && members().every((host) => isLevel(cluster, host));
  if (!(await cluster.run(untilMs, converged))) {
    const indexes = members()
      .map(({ id, node }) => `${id} applied ${node?.appliedIndex ?? '-'}`)
      .join(', ');
    throw new Error(`the nodes did not converge: ${indexes}`);
  }
  const states = members().map(({ disk }) => disk.fingerprint());
  if (new Set(states).size > 1)
    throw new Error(`states differ at the same applied index:\n${states.join('\n')}`);
}

/** Who is not where everybody should be. */
function unsettled(cluster: SimulatedCluster): string {
  const lead = cluster.leader();
  const places = cluster.hostList.map(({ id, place, isUp, isJoining, disk }) => {
    const state = isUp ? 'runs' : isJoining ? 'asks to be taken in' : 'does not run';
    return `${id} (${disk.incarnation}, ${place}) ${state}`;
  });
  const configuration = JSON.stringify(lead?.node?.configuration);
  return `the members do not settle: leader ${lead?.id ?? '-'}; ${places.join(', ')}; ${configuration}`;
}

/** It has applied everything, and written that to its disk. */
function isLevel(cluster: SimulatedCluster, { node, disk }: Host): boolean {
  const last = cluster.leader()?.node?.state.log.lastIndex;
  return last !== undefined && node?.appliedIndex === last && disk.state.applied.index === last;
}

/** The fewest of the faults that still make it fail, found by leaving out ever smaller parts. */
export async function shrink(failure: SimulationFailure, runsMax: number): Promise<SimulationFailure> {
  let smallest = failure;
  let runs = 0;
  for (
    let size = Math.ceil(smallest.faults.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < smallest.faults.length && runs < runsMax;) {
      runs += 1;
      const fewer = smallest.faults.filter((_, at) => at < from || at >= from + size);
      const again = await failureOf(failure.seed, fewer);
      if (again === undefined) from += size;
      else smallest = again;
    }
  }
  return smallest;
}

async function failureOf(seed: number, faults: readonly Fault[]): Promise<SimulationFailure | undefined> {
  try {
    await simulate({ seed, faults });
    return undefined;
  } catch (error) {
    if (error instanceof SimulationFailure) return error;
    throw error;
  }
}

export function describeFailure(failure: SimulationFailure, lines: number): string {
  return [
    failure.message,
    `faults that it needs (${failure.faults.length}):`,
    ...failure.faults.map((fault) => `  ${describeFault(fault)}`),
    `the end of its log:`,
    ...failure.log.slice(-lines),
    `again: npm run simulate -- --seed ${failure.seed}`,
  ].join('\n');
}
