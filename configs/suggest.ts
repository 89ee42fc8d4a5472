import { distance } from 'fastest-levenshtein';
import { formatPath, type Path } from './problem.js';
import { KNOWN_KEYS } from './schema.js';

/** How much nearer a key of another section must be to be meant. */
const OTHER_SECTION_COST = 2;

const sectionName = (path: Path): string => formatPath(path).replace(/\[\d+\]/g, '[]');

/** The full path of the known key that an unknown one in `section` was most likely meant to be. */
export function nearestKey(section: Path, unknown: string): string {
  let best = { key: '', cost: Infinity };
  for (const [name, keys] of KNOWN_KEYS) {
    const own = name === sectionName(section);
    if (!own && name.includes('[]')) continue;
    for (const key of keys) {
      const cost = distance(unknown.toLowerCase(), key.toLowerCase()) + (own ? 0 : OTHER_SECTION_COST);
      if (cost >= best.cost) continue;
      const parent = own ? formatPath(section) : name;
      best = { key: parent === '' ? key : `${parent}.${key}`, cost };
    }
  }
  return best.key;
}
