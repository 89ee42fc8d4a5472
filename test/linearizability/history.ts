/** What clients asked and what they were told: the input of the checker. */

export type Condition =
  { readonly type: 'revision'; readonly revision: number } | { readonly type: 'absent' };

export type Action =
  | { readonly type: 'get' }
  | { readonly type: 'set'; readonly value: string; readonly condition?: Condition }
  | { readonly type: 'delete'; readonly condition?: Condition };

export type Outcome =
  /** A get that found the key. */
  | { readonly type: 'value'; readonly value: string; readonly revision?: number }
  /** A get that found nothing. */
  | { readonly type: 'missing' }
  /** An acknowledged set. */
  | { readonly type: 'written'; readonly revision?: number }
  /** An acknowledged delete of a key that existed. */
  | { readonly type: 'deleted'; readonly revision?: number }
  /** An acknowledged delete of a key that did not exist. */
  | { readonly type: 'not-found' }
  /** The condition did not hold; with the revision that the key had, null when it was missing. */
  | { readonly type: 'mismatch'; readonly currentRevision?: number | null }
  /** Certainly without effect. */
  | { readonly type: 'not-applied' }
  /** Without effect, or with its effect at any one moment after the invocation. */
  | { readonly type: 'unknown' };

export interface Operation {
  readonly client: string;
  readonly key: string;
  readonly action: Action;
  readonly outcome: Outcome;
  /** Monotonic time before the request was sent. */
  readonly invokeMs: number;
  /** Monotonic time after the answer came; of no meaning when the outcome is unknown. */
  readonly returnMs: number;
}

/** One line for people. */
export function describeOperation(operation: Operation): string {
  const { client, invokeMs, returnMs, outcome } = operation;
  const end = outcome.type === 'unknown' ? '?' : returnMs.toFixed(3);
  const time = `[${invokeMs.toFixed(3).padStart(10)} .. ${end.padStart(10)}] ms`;
  return `${time}  ${client.padEnd(6)} ${describeAction(operation)} -> ${describeOutcome(outcome)}`;
}

function describeAction({ key, action }: Operation): string {
  if (action.type === 'get') return `get ${key}`;
  const value = action.type === 'set' ? `=${JSON.stringify(action.value)}` : '';
  return `${action.type} ${key}${value}${describeCondition(action.condition)}`;
}

function describeCondition(condition: Condition | undefined): string {
  if (condition === undefined) return '';
  return condition.type === 'absent' ? ' if absent' : ` if revision ${condition.revision}`;
}

function describeOutcome(outcome: Outcome): string {
  switch (outcome.type) {
    case 'value':
      return `${JSON.stringify(outcome.value)}${atRevision(outcome.revision)}`;
    case 'written':
    case 'deleted':
      return `${outcome.type}${atRevision(outcome.revision)}`;
    case 'mismatch':
      if (outcome.currentRevision === undefined) return 'mismatch';
      return `mismatch (${outcome.currentRevision === null ? 'missing' : `has revision ${outcome.currentRevision}`})`;
    case 'missing':
    case 'not-found':
    case 'not-applied':
    case 'unknown':
      return outcome.type;
  }
}

function atRevision(revision: number | undefined): string {
  return revision === undefined ? '' : ` at revision ${revision}`;
}
