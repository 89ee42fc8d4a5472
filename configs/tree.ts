/** Plain trees of mappings and lists, as they come out of a file, and changes to them by path. */

import type { Path } from './problem.js';

export type Tree = Record<string, unknown>;

/** Whether the value is a mapping. */
export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function child(parent: unknown, step: string | number): unknown {
  if (Array.isArray(parent)) return typeof step === 'number' ? (parent as unknown[])[step] : undefined;
  return isTree(parent) && Object.hasOwn(parent, step) ? parent[step] : undefined;
}

/** The value at a path; undefined when nothing is there. */
export function getAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(child, root);
}

/** A copy of the tree with this value put in. Absent mappings on the way are made; anything else in the way stays, to be reported. */
export function withValueAt(root: unknown, [step, ...rest]: Path, value: unknown): unknown {
  if (step === undefined) return value;
  if (typeof step === 'number') {
    if (!Array.isArray(root)) return root;
    return root.map((item: unknown, index) => (index === step ? withValueAt(item, rest, value) : item));
  }
  const tree = root ?? {};
  return isTree(tree) ? { ...tree, [step]: withValueAt(child(tree, step), rest, value) } : root;
}

/** A copy of the tree without the key at the path's end. */
export function withoutKeyAt(root: unknown, [step, ...rest]: Path): unknown {
  if (step === undefined) return undefined;
  if (!isTree(root) || !Object.hasOwn(root, step)) return root;
  const kept = Object.entries(root).filter(([key]) => key !== step);
  if (rest.length > 0) kept.push([String(step), withoutKeyAt(root[step], rest)]);
  return Object.fromEntries(kept);
}
