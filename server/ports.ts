/** What the one loop of a node (`node.ts`) is driven by, besides the stores. Real ones make a server, simulated ones a test. */

import type { NodeId } from '../membership/configuration.js';
import type { Message } from '../raft/messages.js';

/** Monotonic time; the wall clock never enters consensus. */
export interface Clock {
  /** Milliseconds since some fixed moment, with fractions. */
  nowMs(): number;
  /** Runs `task` soon, after what has already arrived in this turn of the event loop. */
  soon(task: () => void): void;
  /** Runs `task` about every `periodMs`; the result stops it. */
  every(periodMs: number, task: () => void): () => void;
  /** Runs `task` once after `delayMs`; the result cancels it. */
  after(delayMs: number, task: () => void): () => void;
}

/**
 * Carries messages between nodes. Messages may be lost, delayed, doubled and reordered; the core lives with all of that.
 * A message is only ever handed to the core when its sender, receiver and cluster were checked.
 */
export interface Transport {
  /**
   * Sends without waiting. A request goes to its receiver's raft address; a response goes back by the call (`message.call`) that its
   * request came in by, or nowhere when that call is gone.
   */
  send(messages: readonly Message[]): void;
}

/** Where a transport hands what it receives. */
export interface Inbox {
  receive(message: Message): void;
  /** The connection to a peer broke: what was sent and not answered may be lost. */
  unreachable(peer: NodeId): void;
}
