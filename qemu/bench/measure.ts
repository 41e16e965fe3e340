import path from 'node:path';
import { $ } from 'zx';

$.verbose = false;
$.quiet = true;

export const repository = path.resolve(import.meta.dirname, '../..');
export const imgboot = path.join(repository, 'bin/imgboot');

/** The shortest of several runs, in seconds; `prepare` is not counted. */
export async function best(
  runs: number,
  action: () => Promise<unknown>,
  prepare: () => Promise<unknown> = async () => {},
): Promise<number> {
  let shortest = Infinity;
  for (let run = 0; run < runs; run += 1) {
    await prepare();
    const started = performance.now();
    await action();
    shortest = Math.min(shortest, (performance.now() - started) / 1000);
  }
  return shortest;
}

/** The middle of several values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** A step of the benchmark, for who waits. */
export function say(step: string): void {
  process.stderr.write(`bench: ${step}\n`);
}
