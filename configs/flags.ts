/** One node without a file: `kv-server --id n1 --listen 127.0.0.1:9101 --peers n1=127.0.0.1:9101,… --data-dir D`. */

import type { Override, Overrides } from './overrides.js';
import { readPeers } from './peers.js';

/** The command line's say; what is left out is left to the environment, the file and the defaults. */
export interface Flags {
  /** The node's id. */
  readonly id?: string | undefined;
  /** The one address that carries all three ports. */
  readonly listen?: string | undefined;
  /** `n1=127.0.0.1:9101,n2=host:9102`, or `id=raft|rpc|http` where the addresses differ. */
  readonly peers?: string | undefined;
  /** Where the node keeps its data. */
  readonly dataDir?: string | undefined;
}

/** What the command line sets. */
export function flagOverrides(flags: Flags): Overrides {
  const overrides: Override[] = [];
  const put = (path: readonly string[], value: unknown, flag: string): void => {
    if (value !== undefined) overrides.push({ path, value, from: `command line ${flag}` });
  };
  put(['raft', 'nodeID'], flags.id, '--id');
  put(['rpcAddr'], flags.listen, '--listen');
  put(['httpAddr'], flags.listen, '--listen');
  put(['raft', 'bindAddr'], flags.listen, '--listen');
  put(['raft', 'dataDir'], flags.dataDir, '--data-dir');
  if (flags.peers === undefined) return { overrides, problems: [] };
  const path = ['cluster', 'peers'];
  const origin = 'command line --peers';
  const reading = readPeers(flags.peers);
  if (!reading.ok) return { overrides, problems: [{ path, message: reading.problem, from: origin }] };
  put(path, reading.value, '--peers');
  return { overrides, peerUrls: { urls: [], from: origin }, problems: [] };
}
