/** One measured thing beside its peer, and what the plan asks of it. */
export interface Comparison {
  what: string;
  ours: Measure;
  /** Absent where the target is a value of its own. */
  peer?: (Measure & { name: string }) | undefined;
  /** The most that `ours` may be: of the peer's, where there is one; else in its own unit. */
  target: number;
}

export interface Measure {
  value: number;
  unit: 's' | 'MB';
}

/** How much of the peer's, or of the target's own unit, ours is. */
function measured({ ours, peer }: Comparison): number {
  return peer === undefined ? ours.value : ours.value / peer.value;
}

function isMet(comparison: Comparison): boolean {
  return measured(comparison) <= comparison.target;
}

/** A few lines for the terminal. */
export function asText(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map((comparison) => Object.values(cells(comparison)));
  const head = ['what', 'ours', 'peer', 'ratio', 'target', 'met'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [head, ...rows]
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** docs/benchmarks.md. */
export function asMarkdown(comparisons: readonly Comparison[], machine: readonly string[]): string {
  const missed = comparisons.filter((comparison) => !isMet(comparison));
  const verdict =
    missed.length === 0
      ? 'Every target is met.'
      : `Missed: ${missed.map(({ what, peer }) => (peer === undefined ? what : `${what} (${peer.name})`)).join('; ')}.`;
  const rows = comparisons.map((comparison) => `| ${Object.values(cells(comparison)).join(' | ')} |`);
  return `# Benchmarks

Made by \`npm run bench\`, all in one run on one machine; the targets are those of
[architecture.md](architecture.md), section 6. Absolute times say something about that machine only; the ratios are
what counts. Times are the best of several runs, with everything that is read in the page cache; what is written is
synced within the time.

${verdict}

| what | ours | peer | ratio | target | met |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}

## The machine

${machine.map((line) => `- ${line}`).join('\n')}
`;
}

function cells(
  comparison: Comparison,
): Record<'what' | 'ours' | 'peer' | 'ratio' | 'target' | 'met', string> {
  const { what, ours, peer, target } = comparison;
  return {
    what,
    ours: show(ours),
    peer: peer === undefined ? '' : `${peer.name}: ${show(peer)}`,
    ratio: peer === undefined ? '' : fraction(measured(comparison)),
    target: peer === undefined ? `<= ${show({ value: target, unit: ours.unit })}` : `<= ${fraction(target)}`,
    met: isMet(comparison) ? 'yes' : 'NO',
  };
}

function show({ value, unit }: Measure): string {
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)} ${unit}`;
}

/** Small ratios as one part of how many. */
function fraction(ratio: number): string {
  return ratio < 0.9 ? `1/${(1 / ratio).toFixed(1).replace(/\.0$/, '')}` : ratio.toFixed(2);
}
