/** What other members said of themselves when they said hello, and where each may be found. Kept in memory alone. */

import type { Peer } from '../../configs/config.js';
import type { Addresses } from '../../membership/change.js';
import type { Configuration, NodeId } from '../../membership/configuration.js';
import { memberOf } from '../../membership/configuration.js';
import type { Identity, Introduction } from '../rpc/identity.js';

export interface Acquaintances {
  /** A node introduced itself; only what a member says of itself is kept. */
  met(who: Identity, introduction: Introduction): void;
  versionOf(id: NodeId): string | undefined;
  /** A member was asked, and answered or not. */
  asked(id: NodeId, answered: boolean): void;
  /** Those of these that did not answer when they were asked last. */
  silentOf(ids: readonly NodeId[]): readonly NodeId[];
  /**
   * Where to look for a member, best first: where the configuration has it, where it said that it is, where this node's own file has it.
   * After all have moved at once, only the files know, until the configuration has learnt it.
   */
  placesOf(id: NodeId): readonly Addresses[];
}

/** @param known the latest configuration, once there is one */
export function acquaintances(known: () => Configuration | undefined, peers: readonly Peer[]): Acquaintances {
  const met = new Map<NodeId, Introduction & { readonly incarnation: string }>();

  const silent = new Set<NodeId>();

  function introductionOf(id: NodeId): Introduction | undefined {
    const configuration = known();
    const member = configuration && memberOf(configuration, id);
    const introduction = met.get(id);
    return introduction?.incarnation === member?.incarnation ? introduction : undefined;
  }

  return {
    met({ id, incarnation }, introduction) {
      const configuration = known();
      if (configuration === undefined || memberOf(configuration, id)?.incarnation !== incarnation) return;
      // Those that left make room: there are never more than members.
      for (const other of met.keys()) if (memberOf(configuration, other) === undefined) met.delete(other);
      met.set(id, { incarnation, ...introduction });
    },
    asked(id, answered) {
      if (answered) silent.delete(id);
      else silent.add(id);
    },
    silentOf: (ids) => ids.filter((id) => silent.has(id)),
    versionOf: (id) => introductionOf(id)?.version,
    placesOf(id) {
      const configuration = known();
      const places = [
        configuration && memberOf(configuration, id),
        introductionOf(id)?.addresses,
        peers.find((peer) => peer.id === id),
      ];
      return places.filter((place) => place !== undefined);
    },
  };
}
