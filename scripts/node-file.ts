/** What the launcher must know of a node's configuration file; the server itself checks the file. */

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const NodeFile = z.object({
  rpcAddr: z.string(),
  httpAddr: z.string(),
  raft: z.object({ nodeID: z.string(), bindAddr: z.string(), dataDir: z.string() }),
});

export interface Address {
  /** The configuration key it stands under. */
  readonly key: string;
  /** Undefined: every interface. */
  readonly host: string | undefined;
  readonly port: number;
}

export interface NodeFileSummary {
  readonly file: string;
  readonly id: string;
  readonly dataDir: string;
  readonly http: Address;
  readonly rpc: Address;
  readonly raft: Address;
}

/** Throws an `Error` that names the file, and the key when one is missing. */
export function readNodeFile(file: string): NodeFileSummary {
  const checked = NodeFile.safeParse(parse(readFileSync(file, 'utf8')));
  if (!checked.success) throw new Error(`${file}: ${z.prettifyError(checked.error)}`);
  const { rpcAddr, httpAddr, raft } = checked.data;
  const address = (key: string, value: string): Address => ({ key, ...splitAddress(file, key, value) });
  return {
    file,
    id: raft.nodeID,
    dataDir: raft.dataDir,
    http: address('httpAddr', httpAddr),
    rpc: address('rpcAddr', rpcAddr),
    raft: address('raft.bindAddr', raft.bindAddr),
  };
}

function splitAddress(file: string, key: string, value: string): { host: string | undefined; port: number } {
  const colon = value.lastIndexOf(':');
  const port = Number(value.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`${file}: ${key} must be "host:port", not "${value}"`);
  }
  const host = value.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { host: host === '' ? undefined : host, port };
}

/** `host:port` as a client on this machine would write it. */
export function hostPort({ host, port }: Address): string {
  const name = host === undefined || host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  return name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`;
}
