/** Bar charts as SVG, by hand: nothing but rectangles and text. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Where the smallest and the largest run were. */
  readonly min: number;
  readonly max: number;
}

export interface Group {
  readonly label: string;
  /** One a series, in their order. */
  readonly bars: readonly (Bar | undefined)[];
}

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly string[];
  readonly groups: readonly Group[];
}

const COLOURS = ['#2a6f97', '#c9a227', '#7b2d26', '#52796f'];
const BAR = 26;
const GAP = 30;
const HEIGHT = 220;
const TOP = 56;
const LEFT = 70;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(words)}</text>`;

/** The next 1, 2 or 5 times a power of ten. */
function roundedUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return power * ([1, 2, 5].find((step) => value <= step * power) ?? 10);
}

export function barChart({ title, unit, series, groups }: Chart): string {
  const most = Math.max(0, ...groups.flatMap(({ bars }) => bars.map((bar) => bar?.max ?? 0)));
  const scale = roundedUp(most);
  const groupWidth = series.length * BAR + GAP;
  const width = LEFT + Math.max(groups.length * groupWidth, 260) + GAP;
  const bottom = TOP + HEIGHT;
  const yOf = (value: number): number => bottom - (HEIGHT * value) / scale;
  const lines = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
    `<line x1="${LEFT}" x2="${width}" y1="${yOf(part * scale)}" y2="${yOf(part * scale)}" stroke="#ddd"/>`,
    text(LEFT - 6, yOf(part * scale) + 4, (part * scale).toLocaleString('en'), 'text-anchor="end"'),
  ]);
  const legend = series.flatMap((name, at) => [
    `<rect x="${LEFT + at * 110}" y="30" width="12" height="12" fill="${COLOURS[at % COLOURS.length] ?? ''}"/>`,
    text(LEFT + at * 110 + 17, 40, name),
  ]);
  const drawn = groups.flatMap(({ label, bars }, group) => {
    const left = LEFT + GAP / 2 + group * groupWidth;
    return [
      ...bars.flatMap((bar, at) => (bar === undefined ? [] : drawBar(bar, left + at * BAR, at, yOf, bottom))),
      text(left + (series.length * BAR) / 2, bottom + 18, label, 'text-anchor="middle"'),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom + 32}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="white"/>',
    text(LEFT, 18, `${title}, ${unit}`, 'font-size="14" font-weight="bold"'),
    ...legend,
    ...lines,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

function drawBar(
  { label, value, min, max }: Bar,
  x: number,
  at: number,
  yOf: (value: number) => number,
  bottom: number,
): string[] {
  const y = yOf(value);
  const middle = x + BAR / 2 - 1;
  return [
    `<rect x="${x}" y="${y.toFixed(1)}" width="${BAR - 2}" height="${(bottom - y).toFixed(1)}" fill="${COLOURS[at % COLOURS.length] ?? ''}"><title>${escaped(label)}</title></rect>`,
    `<line x1="${middle}" x2="${middle}" y1="${yOf(min).toFixed(1)}" y2="${yOf(max).toFixed(1)}" stroke="#222"/>`,
  ];
}
