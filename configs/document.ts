/** A configuration file's text as a tree, with the place of every key in it. JSON is read as the YAML that it is. */

import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  Parser,
  type CST,
  type YAMLError,
} from 'yaml';
import { interpolate } from './interpolate.js';
import { formatPath, type Path, type Problem, type TextProblem } from './problem.js';

/** Line and column, from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A text, read. */
export interface ConfigDocument {
  /** The tree, references filled in; undefined when the text has no usable structure. */
  readonly tree: unknown;
  /** What is wrong with the text: syntax, duplicate keys, references. */
  readonly problems: readonly (Problem | TextProblem)[];
  /** Strings that the environment had a part in; where the schema wants a number, their digits are one. */
  readonly interpolated: readonly Path[];
  /** Settings whose references could not be filled in. */
  readonly unfilled: readonly Problem[];
  /** Where the setting stands, or the nearest one around it that is there. */
  readonly locate: (problem: Problem | TextProblem) => Position;
}

interface Walk {
  readonly env: NodeJS.ProcessEnv;
  readonly offsets: Map<string, number>;
  readonly unfilled: Problem[];
  readonly interpolated: Path[];
  /** Key paths by offset, for errors of the parser that know no path. */
  readonly pathAt: Map<number, Path>;
}

function startOf(node: unknown): number | undefined {
  if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) return undefined;
  return node.range?.[0];
}

function note(walk: Walk, path: Path, node: unknown): void {
  const offset = startOf(node);
  if (offset === undefined) return;
  walk.offsets.set(formatPath(path), offset);
  walk.pathAt.set(offset, path);
}

function visit(walk: Walk, path: Path, node: unknown): void {
  if (isMap(node)) {
    for (const pair of node.items) {
      if (!isPair(pair) || !isScalar(pair.key)) continue;
      const childPath = [...path, String(pair.key.value)];
      note(walk, childPath, pair.key);
      visit(walk, childPath, pair.value);
    }
  } else if (isSeq(node)) {
    node.items.forEach((item, index) => {
      const childPath = [...path, index];
      note(walk, childPath, item);
      visit(walk, childPath, item);
    });
  } else if (isScalar(node) && typeof node.value === 'string' && node.value.includes('${')) {
    const reading = interpolate(node.value, walk.env);
    if (reading.ok) {
      node.value = reading.value;
      walk.interpolated.push(path);
    } else {
      walk.unfilled.push({ path, message: reading.problem });
    }
  }
}

/** Deeper than any key; the library recurses, and what exhausts the stack there can abort the process. */
const DEPTH_MAX = 16;

function within(token: CST.Token): CST.Token[] {
  if (token.type === 'document') return token.value === undefined ? [] : [token.value];
  if (!('items' in token)) return [];
  return token.items.flatMap(({ key, value }) =>
    [key, value].filter((inner) => inner !== undefined && inner !== null),
  );
}

/** The offset at which the text is nested deeper than any configuration; found level by level, without recursion. */
function excessiveDepthAt(text: string, lines: LineCounter): number | undefined {
  let level = [...new Parser(lines.addNewLine).parse(text)];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) return level[0]?.offset;
    level = level.flatMap(within);
  }
  return undefined;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function faultMessage(error: YAMLError): string {
  switch (error.code) {
    case 'DUPLICATE_KEY':
      return 'stands here a second time; keep one of the two';
    case 'MULTIPLE_DOCS':
      return 'a second document begins here; keep one to a file';
    default:
      return `not valid YAML: ${oneLine(error.message)}; correct it here, or put the text in quotes`;
  }
}

/** One fault can make the parser report many at the same place: the first one tells. */
function textProblems(faults: readonly YAMLError[], pathAt: ReadonlyMap<number, Path>): TextProblem[] {
  const problems = new Map<number, TextProblem>();
  for (const fault of faults) {
    const [offset] = fault.pos;
    if (problems.has(offset)) continue;
    const path = fault.code === 'DUPLICATE_KEY' ? (pathAt.get(offset) ?? []) : [];
    problems.set(offset, { path, message: faultMessage(fault), offset });
  }
  return [...problems.values()];
}

type Parsed = Omit<ConfigDocument, 'locate'>;

function parse(text: string, lines: LineCounter, walk: Walk): Parsed {
  const tooDeepAt = excessiveDepthAt(text, lines);
  if (tooDeepAt !== undefined) {
    const message = 'is nested too deeply; a configuration has four levels';
    return {
      tree: undefined,
      problems: [{ path: [], message, offset: tooDeepAt }],
      interpolated: [],
      unfilled: [],
    };
  }
  const document = parseDocument(text, { prettyErrors: false, stringKeys: true });
  visit(walk, [], document.contents);
  const { interpolated, unfilled } = walk;
  const faults: YAMLError[] = [...document.errors, ...document.warnings];
  const problems = textProblems(faults, walk.pathAt);
  // What a broken text means is guesswork: its keys are not judged.
  if (faults.some(({ code }) => code !== 'DUPLICATE_KEY')) {
    return { tree: undefined, problems, interpolated, unfilled };
  }
  try {
    return { tree: document.toJS(), problems: [...problems, ...unfilled], interpolated, unfilled };
  } catch (error) {
    // Aliases that lead nowhere, or to more than the parser's bound allows.
    const reason = error instanceof Error ? oneLine(error.message) : String(error);
    const alias = { path: [], message: `can't be read: ${reason}; write it without aliases` };
    return { tree: undefined, problems: [...problems, alias], interpolated, unfilled };
  }
}

/** Reads the text of a file. Never throws for what the text holds: that comes back as problems. */
export function readDocument(text: string, env: NodeJS.ProcessEnv): ConfigDocument {
  const lines = new LineCounter();
  const walk: Walk = { env, offsets: new Map(), unfilled: [], interpolated: [], pathAt: new Map() };
  const parsed = parse(text, lines, walk);
  const positionOf = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return line === 0 ? { line: 1, column: 1 } : { line, column: col };
  };
  const locate = (problem: Problem | TextProblem): Position => {
    if ('offset' in problem) return positionOf(problem.offset);
    for (let length = problem.path.length; length > 0; length--) {
      const offset = walk.offsets.get(formatPath(problem.path.slice(0, length)));
      if (offset !== undefined) return positionOf(offset);
    }
    return positionOf(0);
  };
  return { ...parsed, locate };
}
