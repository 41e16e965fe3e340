import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readBootHistory, type KeptBoot } from '../boot/boot-history.ts';
import { readBootReport } from '../boot/boot-report.ts';
import type { StorePaths } from '../store/paths.ts';

/**
 * Finds the boot that wrote to a writable layer at a moment, among those whose reports are kept: the only one that had the
 * layer, or, of several, the last that had begun by then. By the machine's clock.
 */
export function bootsThatWrote(
  paths: StorePaths,
  layer: string | null,
): (timeNs: bigint | undefined) => KeptBoot | undefined {
  const boots = readBootHistory(paths).filter(layer === null ? isRunning() : hadLayer(paths, layer));
  return (timeNs) => {
    if (boots.length === 1) return boots[0];
    if (timeNs === undefined) return undefined;
    const timeMs = Number(timeNs / 1_000_000n);
    // The latest comes first.
    return boots.find((boot) => beganMs(boot) <= timeMs);
  };
}

function hadLayer(paths: StorePaths, layer: string): (boot: KeptBoot) => boolean {
  const [place, name] = [dirname(layer), basename(layer)];
  if (name === 'persistent') return ({ report }) => report.writable?.layer === layer;
  const number = name === 'ephemeral' ? nextNumber(join(paths.root, place)) : Number(name.split('.')[1]);
  return ({ report: { writable } }) =>
    writable?.layer === join(place, 'ephemeral') && writable.number === number;
}

/** What the last ephemeral layer is going to be called. @see imgboot_next_number in hooks/lib/writable.sh */
function nextNumber(place: string): number {
  const names = existsSync(place) ? readdirSync(place) : [];
  const numbers = names.map((name) => Number(/^ephemeral\.(\d{1,8})$/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers) + 1;
}

function isRunning(): (boot: KeptBoot) => boolean {
  const running = JSON.stringify(readBootReport());
  return ({ report }) => JSON.stringify(report) === running;
}

function beganMs({ writtenMs, report }: KeptBoot): number {
  return writtenMs - (report.steps.at(-1)?.endMs ?? 0);
}
