import type { BaseLogger } from 'pino';

/** What this folder needs of a logger: pino's, or a recording one in tests. */
export type Logger = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>;
