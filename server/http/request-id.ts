import { randomBytes } from 'node:crypto';

const SANE_ID = /^[\w.:/+=@-]{1,128}$/;

/** The client's own `X-Request-Id` when it is short and printable, else a new one: unique to the process, then counted. */
export function requestIds(): (incoming: string | string[] | undefined) => string {
  const prefix = randomBytes(6).toString('hex');
  let count = 0;
  return (incoming) => {
    if (typeof incoming === 'string' && SANE_ID.test(incoming)) return incoming;
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}
