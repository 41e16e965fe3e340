import type { Figures } from './sweep.ts';

const columns = [
  'disk',
  'command',
  'points',
  'inBoot',
  'old',
  'new',
  'failures',
  'fatLeft',
  'seconds',
] as const;
const titles = [
  'disk',
  'command',
  'points',
  'in the boot',
  'old',
  'new',
  'failures',
  'FAT to tidy up',
  'seconds',
];

const BEGIN = '<!-- figures: written by npm run power-cut -->';
const END = '<!-- end of figures -->';

/** A table of Markdown, with a last line for all together. Pure. */
export function asText(figures: readonly Figures[]): string {
  const sum = (key: (typeof columns)[number]): number =>
    figures.reduce((total, one) => total + Number(one[key]), 0);
  const rows = [
    titles,
    titles.map(() => '---'),
    ...figures.map((one) => columns.map((key) => String(one[key]))),
    ['all', '', ...columns.slice(2).map((key) => String(sum(key)))],
  ];
  return rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** A document with new figures in place of those it has. Pure. */
export function withFigures(
  document: string,
  { figures, about, points }: { figures: readonly Figures[]; about: string; points: number },
): string {
  const start = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (start === -1 || end < start) throw new Error('docs/power-cuts.md has no place for the figures');
  const text = `\n\n\`npm run power-cut -- ${points}\` on ${about}\n\n${asText(figures)}\n\n`;
  return `${document.slice(0, start + BEGIN.length)}${text}${document.slice(end)}`;
}
