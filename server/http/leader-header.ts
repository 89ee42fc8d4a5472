import type { Service } from '../service.js';

/** The text of `KV-Leader`, built anew only when the leader changes; undefined while none is known. */
export function leaderHeader(service: Pick<Service, 'leader'>): () => string | undefined {
  let id = '';
  let http = '';
  let text = '';
  return () => {
    const leader = service.leader();
    if (leader === undefined) return undefined;
    if (leader.id !== id || leader.http !== http) {
      ({ id, http } = leader);
      text = `${id} ${http}`;
    }
    return text;
  };
}
