import type { Handler } from './context.js';
import { openApiDocument } from './schema/openapi.js';
import { parseParams } from './target.js';

/** `GET /openapi.json`. */
export function openApiRoute(version: () => string): Handler {
  let text: string | undefined;
  return async (ctx) => {
    parseParams(ctx.state.target.query, []);
    text ??= JSON.stringify(openApiDocument(version()));
    ctx.status = 200;
    ctx.res.setHeader('Content-Type', 'application/json');
    ctx.body = text;
    await Promise.resolve();
  };
}
