/** Members found by a name in DNS, as Consul and Kubernetes keep them, so that containers need no fixed list. */

import { lookup, resolveSrv } from 'node:dns/promises';

export interface Resolver {
  readonly srv: (name: string) => Promise<readonly { readonly name: string; readonly port: number }[]>;
  /** Every address that the system knows for a name, hosts file included. */
  readonly addresses: (
    name: string,
  ) => Promise<readonly { readonly address: string; readonly family: number }[]>;
}

const SYSTEM: Resolver = {
  srv: (name) => resolveSrv(name),
  addresses: (name) => lookup(name, { all: true }),
};

/** More than any cluster has members. */
const PLACES_MAX = 64;

/**
 * RPC addresses behind `host:port`, asked for anew at each call: where the name has SRV records, the hosts and ports that these name; else each
 * of its A and AAAA records, with that port. Rejects when the name is not known.
 */
export async function discover(dns: string, resolver: Resolver = SYSTEM): Promise<readonly string[]> {
  const colon = dns.lastIndexOf(':');
  const [host, port] = [dns.slice(0, colon), dns.slice(colon + 1)];
  const services = await resolver.srv(host).catch(() => []);
  if (services.length > 0)
    return services.slice(0, PLACES_MAX).map((service) => `${service.name}:${service.port}`);
  const found = await resolver.addresses(host);
  return found
    .slice(0, PLACES_MAX)
    .map(({ address, family }) => (family === 6 ? `[${address}]:${port}` : `${address}:${port}`));
}
