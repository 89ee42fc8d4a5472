/**
 * Keeps pages of other web sites from using a visitor's browser to reach the store. A body is taken whatever its
 * Content-Type says, so the browser's own preflight protects nothing here: the origin itself is checked.
 */

import { isIP } from 'node:net';

import { HEADERS } from '../../api/types.js';
import type { Context } from './context.js';
import { RequestError } from './request-error.js';

const METHODS = 'GET, HEAD, PUT, POST, DELETE, PATCH';
const REQUEST_HEADERS = `Authorization, Content-Type, Accept, If-Match, If-None-Match, Last-Event-ID, X-Request-Id, ${HEADERS.session}`;
const EXPOSED_HEADERS = `${Object.values(HEADERS).join(', ')}, ETag, Retry-After, Location`;
const PREFLIGHT_SECONDS = 600;

/**
 * A check for each request, before anything else is done with it. `origins` is `http.cors`; `ownHosts` are `host:port`
 * addresses that this node goes by. Returns true when it has answered (a preflight); throws `cross-site`.
 */
export function crossSiteCheck(
  origins: readonly string[],
  ownHosts: readonly string[],
): (ctx: Context) => boolean {
  const allowed = new Set(origins.map((origin) => origin.toLowerCase()));
  const known = new Set(ownHosts.map(hostName));
  return (ctx) => {
    const { origin, host } = ctx.req.headers;
    const site = ctx.req.headers['sec-fetch-site'];
    if (origin === undefined) {
      if (site === 'cross-site' || site === 'same-site') throw refused('Sec-Fetch-Site');
      return false;
    }
    if (allowed.has(origin.toLowerCase())) return allow(ctx, origin);
    if (site === 'cross-site' || site === 'same-site' || !isOwn(origin, host, known)) throw refused('Origin');
    return false;
  };
}

function refused(field: string): RequestError {
  return new RequestError('cross-site', 'list the origin of the page under http.cors to allow it', { field });
}

function allow(ctx: Context, origin: string): boolean {
  ctx.res.setHeader('Access-Control-Allow-Origin', origin);
  ctx.vary('Origin');
  ctx.res.setHeader('Access-Control-Expose-Headers', EXPOSED_HEADERS);
  if (ctx.req.method !== 'OPTIONS') return false;
  ctx.res.setHeader('Access-Control-Allow-Methods', METHODS);
  ctx.res.setHeader('Access-Control-Allow-Headers', REQUEST_HEADERS);
  ctx.res.setHeader('Access-Control-Max-Age', String(PREFLIGHT_SECONDS));
  ctx.status = 204;
  return true;
}

/**
 * The page came from this very address. A public name that merely resolves to this node proves nothing (DNS
 * rebinding), so the name must be one that only the operator can have given it.
 */
function isOwn(origin: string, host: string | undefined, known: ReadonlySet<string>): boolean {
  if (host === undefined) return false;
  const address = host.toLowerCase();
  if (origin.toLowerCase() !== `http://${address}` && origin.toLowerCase() !== `https://${address}`)
    return false;
  const name = hostName(address);
  return known.has(name) || isIP(name) !== 0 || !name.includes('.') || name.endsWith('.localhost');
}

/** `host:port` without the port, `[::1]:80` without the brackets. */
function hostName(address: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(address)?.[1];
  return (bracketed ?? address.replace(/:\d*$/, '')).toLowerCase();
}
