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

/** A boot as a picture: a bar a phase, on one axis of seconds. Pure. @param title one line above it */
export function timelineSvg(title: string, phases: readonly Phase[]): string {
  const first = Math.min(0, ...phases.map(({ startMs }) => startMs));
  const last = Math.max(1, ...phases.map(({ endMs }) => endMs));
  const scale = (WIDTH - LABELS - NUMBERS) / (last - first);
  const x = (ms: number): number => round(LABELS + (ms - first) * scale);
  const height = TOP + phases.length * ROW + 16;
  const rows = phases.map((phase, index) => {
    const y = TOP + index * ROW;
    const end = x(phase.endMs);
    return [
      `<text x="${LABELS - 10}" y="${y + 16}" text-anchor="end">${escaped(phase.name)}</text>`,
      `<rect x="${x(phase.startMs)}" y="${y + 4}" width="${Math.max(1, round(end - x(phase.startMs)))}" height="${ROW - 8}" fill="${colours[phase.by]}"/>`,
      `<text x="${round(end + 6)}" y="${y + 16}" fill="#555">${seconds(phase.endMs - phase.startMs)}</text>`,
    ].join('\n  ');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="13">
  <rect width="100%" height="100%" fill="white"/>
  <text x="16" y="24" font-size="15" font-weight="bold">${escaped(title)}</text>
  ${axis(first, last, x, height)}
  ${rows.join('\n  ')}
</svg>
`;
}

/** Lines at whole steps of 1, 2 or 5 times a power of ten, some ten of them at most. */
function axis(first: number, last: number, x: (ms: number) => number, height: number): string {
  const rough = (last - first) / 8;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  const lines: string[] = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    lines.push(
      `<path d="M${x(at)} ${TOP - 6}V${height - 12}" stroke="#ddd"/>`,
      `<text x="${x(at)}" y="${TOP - 10}" text-anchor="middle" fill="#555">${seconds(at)}</text>`,
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
