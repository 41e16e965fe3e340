import type { Phase } from './timeline.ts';

const WIDTH = 960;
const LABELS = 190;
const NUMBERS = 80;
const ROW = 24;
const TOP = 56;

const colours: Readonly<Record<Phase['by'], string>> = {
  firmware: '#8c8c8c',
  loader: '#b08d57',
  kernel: '#4477aa',
  initramfs: '#228833',
  system: '#aa3377',
};

/** A boot of a picture, with one line above it. */
export interface Timeline {
  title: string;
  phases: readonly Phase[];
}

/** Boots as a picture, one below the other: a bar a phase, on one axis of seconds. Pure. */
export function timelineSvg(timelines: readonly Timeline[]): string {
  const all = timelines.flatMap(({ phases }) => phases);
  const first = Math.min(0, ...all.map(({ startMs }) => startMs));
  const last = Math.max(1, ...all.map(({ endMs }) => endMs));
  const scale = (WIDTH - LABELS - NUMBERS) / (last - first);
  const x = (ms: number): number => round(LABELS + (ms - first) * scale);
  let top = 0;
  const parts = timelines.map(({ title, phases }) => {
    const part = timelinePart({ title, phases }, { first, last, x, top });
    top += heightOf(phases);
    return part;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${top}" font-family="sans-serif" font-size="13">
  <rect width="100%" height="100%" fill="white"/>
  ${parts.join('\n  ')}
</svg>
`;
}

interface Axis {
  first: number;
  last: number;
  x: (ms: number) => number;
  /** Where the part begins. */
  top: number;
}

function timelinePart({ title, phases }: Timeline, axis: Axis): string {
  const { x, top } = axis;
  const rows = phases.map((phase, index) => {
    const y = top + TOP + index * ROW;
    const end = x(phase.endMs);
    return [
      `<text x="${LABELS - 10}" y="${y + 16}" text-anchor="end">${escaped(phase.name)}</text>`,
      `<rect x="${x(phase.startMs)}" y="${y + 4}" width="${Math.max(1, round(end - x(phase.startMs)))}" height="${ROW - 8}" fill="${colours[phase.by]}"/>`,
      `<text x="${round(end + 6)}" y="${y + 16}" fill="#555">${seconds(phase.endMs - phase.startMs)}</text>`,
    ].join('\n  ');
  });
  return [
    `<text x="16" y="${top + 24}" font-size="15" font-weight="bold">${escaped(title)}</text>`,
    axisLines(axis, top + heightOf(phases)),
    ...rows,
  ].join('\n  ');
}

function heightOf(phases: readonly Phase[]): number {
  return TOP + phases.length * ROW + 16;
}

/** Lines at whole steps of 1, 2 or 5 times a power of ten, some ten of them at most. */
function axisLines({ first, last, x, top }: Axis, bottom: number): string {
  const rough = (last - first) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  const lines: string[] = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    lines.push(
      `<path d="M${x(at)} ${top + TOP - 6}V${bottom - 12}" stroke="#ddd"/>`,
      `<text x="${x(at)}" y="${top + TOP - 10}" text-anchor="middle" fill="#555">${seconds(at)}</text>`,
    );
  }
  return lines.join('\n  ');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
