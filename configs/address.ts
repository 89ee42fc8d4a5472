/** Addresses as people write them: `host:port`, `:8080` for every interface, `[::1]:80` for IPv6. */

import { isIPv4, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { bad, good, show, type Reading } from './reading.js';

/** Where to listen or whom to call. */
export interface Address {
  /** A name, an IPv4 address, or an IPv6 address without brackets; undefined: every interface. */
  readonly host: string | undefined;
  /** 0 to 65535; 0 leaves the choice to the kernel. */
  readonly port: number;
}

const PORT_MAX = 65_535;
/** Underscores are no part of a host name by RFC 1123, yet container platforms hand such names out. */
const HOST_NAME = /^(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?$/;
const HOST_NAME_LENGTH_MAX = 253;
const LOOKS_LIKE_IPV4 = /^[\d.]+$/;
const USAGE = 'write "host:port", ":port" for every interface, or "[IPv6]:port"';

function isHost(host: string): boolean {
  if (LOOKS_LIKE_IPV4.test(host)) return isIPv4(host);
  return host.length <= HOST_NAME_LENGTH_MAX && HOST_NAME.test(host);
}

function splitHost(text: string): { host: string; port: string } | undefined {
  const bracketed = /^\[([^\]]*)\]:(\d+)$/.exec(text);
  if (bracketed !== null) {
    const [, host = '', port = ''] = bracketed;
    return isIPv6(host) ? { host, port } : undefined;
  }
  const [host, port, ...rest] = text.split(':');
  if (host === undefined || port === undefined || rest.length > 0 || !/^\d+$/.test(port)) return undefined;
  return host === '' || isHost(host) ? { host, port } : undefined;
}

function hint(text: string): string {
  if (/^[a-z]+:\/\//i.test(text)) return 'leave the scheme and the path off: write "host:port"';
  if (isIPv6(text) || /^[\da-f:]*::[\da-f:]*$/i.test(text))
    return 'put an IPv6 address in brackets: "[::1]:8080"';
  if (/^\d+$/.test(text)) return `write ":${text}" for port ${text} on every interface, or "host:${text}"`;
  if (isHost(text)) return `the port is missing: write "${text}:8080"`;
  return USAGE;
}

/** Reads an address; the problem of a bad one says how to write it. */
export function readAddress(value: unknown): Reading<Address> {
  if (typeof value !== 'string') {
    return bad(
      `${show(value)} is not an address; ${typeof value === 'number' ? hint(String(value)) : USAGE}`,
    );
  }
  const text = value.trim();
  const parts = splitHost(text);
  if (parts === undefined) return bad(`${show(value)} is not an address; ${hint(text)}`);
  const port = Number(parts.port);
  if (port > PORT_MAX) return bad(`${show(value)} has no valid port; give one from 0 to ${PORT_MAX}`);
  return good({ host: parts.host === '' ? undefined : parts.host, port });
}

/**
 * Takes an address of a validated {@link ./config.js#Config} apart.
 *
 * @throws RangeError when the text is not an address
 */
export function parseAddress(text: string): Address {
  const reading = readAddress(text);
  if (!reading.ok) throw new RangeError(reading.problem);
  return reading.value;
}

/** The text that {@link parseAddress} takes apart. */
export function formatAddress({ host, port }: Address): string {
  if (host === undefined) return `:${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether listening on this host means every interface. */
export function isEveryInterface(host: string | undefined): boolean {
  if (host === undefined) return true;
  if (isIPv4(host)) return host === '0.0.0.0';
  return isIPv6(host) && /^[0:]+$/.test(host);
}

/** The address others reach this one by, as far as it can be known: an open host becomes this machine's name. */
export function reachableAddress(text: string): string {
  const { host, port } = parseAddress(text);
  return formatAddress({ host: isEveryInterface(host) ? hostname() : host, port });
}

/** Reads an address that other nodes shall call: it needs a host that means one machine. */
export function readReachableAddress(value: unknown, allowPort0: boolean): Reading<string> {
  const reading = readAddress(value);
  if (!reading.ok) return reading;
  const { host, port } = reading.value;
  if (isEveryInterface(host))
    return bad(`${show(value)} names no machine; give the host that other nodes reach it by`);
  if (port === 0 && !allowPort0)
    return bad(`${show(value)} has port 0, which nobody can call; give the real port`);
  return good(formatAddress(reading.value));
}
