/** Has commands decided: by this node where it leads, else by the leader; again where that is safe; in time. */

import { keysOf } from '../kv/apply.js';
import { encodeCommand } from '../kv/codec.js';
import type { Command, CommandResult, WriteResult } from '../kv/command.js';
import type { Deadline } from './deadline.js';
import type { LeaderLink } from './leader-link.js';
import type { Leadership } from './leadership.js';
import { noLeader, shuttingDown } from './leadership.js';
import type { Node } from './node.js';
import { ServiceError } from './service.js';
import type { SpaceGuard } from './space-guard.js';
import type { ProposalOutcome } from './waiters.js';

export interface ProposerParts {
  readonly node: Node;
  readonly leadership: Leadership;
  readonly link: LeaderLink;
  /** Absent: there is always space. */
  readonly space?: Pick<SpaceGuard, 'refuses'>;
}

/** What became of a command: its result, or why there is none. */
export type Decision = CommandResult | ServiceError;

interface Attempt {
  readonly command: Command;
  readonly bytes: Buffer;
  /** Whether an attempt may have been applied. */
  uncertain: boolean;
  decision: Decision | undefined;
}

/**
 * One decision a command, in order. They are proposed together, in one entry of the leader's log each. In order per key: once one has
 * failed, those behind it on its key are not carried out.
 */
export function proposeAll(
  parts: ProposerParts,
  commands: readonly Command[],
  deadline: Deadline,
): Promise<readonly Decision[]> {
  return decideAll(parts, commands.map(attemptAt), deadline, 'not-tried');
}

/**
 * The same of one command. Nearly all are decided by their first attempt on the leader; that is made without an `await`, each of which would
 * cost more than proposing does (`docs/decisions/0056`).
 */
export function proposeOne(
  parts: ProposerParts,
  command: Command,
  deadline: Deadline,
): Promise<Decision | undefined> {
  const { node, leadership, space } = parts;
  const attempt = attemptAt(command);
  const inTheEnd = (tried: Tried): Promise<Decision | undefined> =>
    decideAll(parts, [attempt], deadline, tried).then(([decision]) => decision);
  if (leadership.known !== node.state.id) return inTheEnd('not-tried');
  return deadline.race(proposeHere(node, space, attempt)).then((outcome) => {
    settle(attempt, outcome);
    return attempt.decision ?? inTheEnd('tried');
  });
}

function attemptAt(command: Command): Attempt {
  return { command, bytes: encodeCommand(command), uncertain: false, decision: undefined };
}

/** Whether an attempt was made already. */
type Tried = 'tried' | 'not-tried';

async function decideAll(
  parts: ProposerParts,
  attempts: readonly Attempt[],
  deadline: Deadline,
  wereTried: Tried,
): Promise<readonly Decision[]> {
  for (let tried = wereTried; ; tried = 'tried') {
    const open = attempts.filter(({ decision }) => decision === undefined);
    if (open.length === 0) return attempts.flatMap(({ decision }) => decision ?? []);
    try {
      if (tried === 'tried') await beforeNextAttempt(parts, deadline);
      await propose(parts, open, deadline);
      if (attempts.length > 1) holdBack(attempts);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      for (const attempt of attempts) if (attempt.decision === undefined) fail(attempt, error);
    }
  }
}

async function beforeNextAttempt({ leadership }: ProposerParts, deadline: Deadline): Promise<void> {
  await leadership.settle(deadline);
  if (deadline.remainingMs() === 0) throw noLeader('no leader took the write in time');
}

async function propose(
  { node, leadership, link, space }: ProposerParts,
  attempts: readonly Attempt[],
  deadline: Deadline,
): Promise<void> {
  const leader = await leadership.leader(deadline);
  if (leader === node.state.id) {
    const outcomes = await deadline.raceAll(proposeInOrder(node, space, attempts));
    attempts.forEach((attempt, at) => settle(attempt, outcomes[at]));
    return;
  }
  const bytes = attempts.map((attempt) => attempt.bytes);
  const outcomes = await deadline.race(link.propose(leader, bytes, deadline.remainingMs()));
  attempts.forEach((attempt, at) => settle(attempt, outcomes?.[at]));
}

/**
 * Proposes the commands of one client in one turn of the event loop, so that they are appended together. Once the core has refused one, it
 * refuses all behind it, too: within one turn it gains neither leadership nor room.
 */
export function proposeInOrder(
  node: Pick<Node, 'propose'>,
  space: Pick<SpaceGuard, 'refuses'> | undefined,
  commands: readonly { readonly command: Command; readonly bytes: Buffer }[],
): Promise<ProposalOutcome>[] {
  const held = new Set<string>();
  return commands.map((one) => {
    const { command } = one;
    const isHeld = held.size > 0 && keysOf(command).some((key) => held.has(key));
    if (!isHeld && space?.refuses(command) !== true) return node.propose(one.bytes);
    for (const key of keysOf(command)) held.add(key);
    return Promise.resolve(NO_SPACE);
  });
}

const NO_SPACE: ProposalOutcome = { status: 'refused', why: 'disk-full' };

function proposeHere(
  node: Pick<Node, 'propose'>,
  space: Pick<SpaceGuard, 'refuses'> | undefined,
  { command, bytes }: { readonly command: Command; readonly bytes: Buffer },
): Promise<ProposalOutcome> {
  return space?.refuses(command) === true ? Promise.resolve(NO_SPACE) : node.propose(bytes);
}

/** What comes behind a failure on its key would be out of order. */
function holdBack(attempts: readonly Attempt[]): void {
  const failed = new Map<string, ServiceError>();
  for (const attempt of attempts) {
    for (const key of keysOf(attempt.command)) {
      const before = failed.get(key);
      if (before !== undefined && attempt.decision === undefined) fail(attempt, refusedBehind(before));
      if (attempt.decision instanceof ServiceError && before === undefined) failed.set(key, attempt.decision);
    }
  }
}

/** For an operation that is not carried out because one before it on its key has failed. */
export function refusedBehind(failure: ServiceError): ServiceError {
  return new ServiceError(failure.code, `an earlier operation on this key failed: ${failure.message}`, {
    outcome: 'not-applied',
    cause: failure,
  });
}

function fail(attempt: Attempt, error: ServiceError): void {
  attempt.decision =
    attempt.uncertain && error.outcome === 'not-applied'
      ? new ServiceError('leadership-lost', `${error.message}; an earlier attempt may have been applied`, {
          cause: error,
        })
      : error;
}

/** Decides the attempt, unless it may be proposed again. */
function settle(attempt: Attempt, outcome: ProposalOutcome | undefined): void {
  switch (outcome?.status) {
    case 'applied':
      // That a session has ended tells nothing of an attempt that went before: then the update stays uncertain.
      attempt.decision =
        attempt.uncertain && outcome.result.status === 'session-expired'
          ? new ServiceError('leadership-lost', 'the session expired before an earlier attempt was confirmed')
          : outcome.result;
      return;
    case 'displaced':
      return;
    case 'refused':
      if (outcome.why === 'disk-full') fail(attempt, diskFull());
      if (outcome.why === 'overloaded') fail(attempt, overloaded());
      if (outcome.why === 'stopping') fail(attempt, shuttingDown());
      return;
    case 'unresolved':
      attempt.uncertain = true;
      if (isRepeatable(attempt.command)) return;
      attempt.decision = new ServiceError(
        'leadership-lost',
        'the leader went before it confirmed the write; it may be applied or not',
      );
      return;
    case undefined:
      attempt.decision = new ServiceError(
        'timeout',
        'the write was not confirmed in time; it may be applied or not',
      );
  }
}

/** A tagged update is applied once however often it is proposed; a session too many only expires. */
function isRepeatable(command: Command): boolean {
  return command.op === 'register' || 'session' in command;
}

function diskFull(): ServiceError {
  return new ServiceError(
    'disk-full',
    'the leader is over its quota (limits.dataBytes), or its disk is down to the reserve (limits.freeBytes); delete something first',
  );
}

function overloaded(): ServiceError {
  return new ServiceError('overloaded', 'too many writes wait for consensus', { retryAfterSeconds: 1 });
}

/** The result of a command, which is none about its session. Throws a `ServiceError` where there is none. */
export function resultOf(decision: Decision | undefined): CommandResult {
  if (decision === undefined) throw new Error('a command was not decided');
  if (decision instanceof ServiceError) throw decision;
  switch (decision.status) {
    case 'session-expired':
      throw new ServiceError(
        'session-expired',
        'the session has expired, or this number was answered and forgotten',
      );
    case 'session-conflict':
      throw new ServiceError('session-conflict', 'this number of the session was used for another write');
    default:
      return decision;
  }
}

/** The result of a write; throws as `resultOf`. */
export function writeResultOf(decision: Decision | undefined): WriteResult {
  const result = resultOf(decision);
  switch (result.status) {
    case 'set':
    case 'deleted':
    case 'not-found':
    case 'revision-mismatch':
      return result;
    default:
      throw unexpected(result);
  }
}

/** A command has a result that is none of its kind: a fault of the state machine. */
export function unexpected(result: CommandResult): Error {
  return new Error(`a command was answered "${result.status}"`);
}
