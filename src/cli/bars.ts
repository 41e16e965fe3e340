const WIDTH = 50;
/** Eighths of a character's width. */
const parts = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Spans of time as bars on one axis, a line each, with when they began and how long they took in seconds. */
export function bars(spans: readonly { name: string; startMs: number; endMs: number }[]): string {
  const first = Math.min(...spans.map(({ startMs }) => startMs));
  const last = Math.max(...spans.map(({ endMs }) => endMs));
  const scale = WIDTH / Math.max(1, last - first);
  const names = Math.max(...spans.map(({ name }) => name.length));
  return spans
    .map(({ name, startMs, endMs }) => {
      const blanks = ' '.repeat(Math.floor((startMs - first) * scale));
      const eighths = Math.max(1, Math.round((endMs - startMs) * scale * 8));
      const bar = `${'█'.repeat(Math.floor(eighths / 8))}${parts[eighths % 8]}`;
      return `${seconds(startMs)}  ${name.padEnd(names)}  ${seconds(endMs - startMs)} s  ${blanks}${bar}`;
    })
    .join('\n');
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2).padStart(6);
}
