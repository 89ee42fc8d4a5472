/** `npm run openapi`: writes the document of the interface to docs/, for those who read it without a node. */

import { readFileSync, writeFileSync } from 'node:fs';

import { openApiDocument } from '../server/http/schema/openapi.js';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
writeFileSync('docs/openapi.json', `${JSON.stringify(openApiDocument(version), undefined, 2)}\n`);
