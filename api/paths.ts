/** Every path of the HTTP interface, shared by the server's router and the clients. */
export const PATHS = Object.freeze({
  get: '/get',
  set: '/set',
  delete: '/delete',
  kv: '/kv',
  txn: '/txn',
  pipeline: '/pipeline',
  watch: '/watch',
  sessions: '/sessions',
  status: '/status',
  clusterStatus: '/cluster/status',
  clusterLog: '/cluster/log',
  members: '/cluster/members',
  transfer: '/cluster/transfer',
  snapshot: '/snapshot',
  health: '/health',
  livez: '/livez',
  readyz: '/readyz',
  metrics: '/metrics',
  openapi: '/openapi.json',
  rpc: '/rpc',
});

/** `/kv/<key>`: every byte but the unreserved ones of RFC 3986 is percent-escaped; slashes are kept readable. */
export function keyPath(key: string): string {
  return `${PATHS.kv}/${key.split('/').map(encodeURIComponent).join('/')}`;
}
