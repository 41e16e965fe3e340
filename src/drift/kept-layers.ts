import { existsSync, readdirSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import type { Place } from './kept-root.ts';

const LAYER = /^(?:ephemeral|persistent|ephemeral\.[0-9]{1,8})$/;

/**
 * Which of a place's writable layers is meant: without a wish the one that runs, else the one that its last boot wrote
 * to, as far as its settings tell.
 * @throws IMGBOOT_NO_SUCH_ROOT, naming those there are
 */
export function layerWanted(place: Place, wanted: string | undefined): string {
  const there = keptLayers(place);
  const found =
    wanted === undefined ? usual(place, there) : there.find((name) => name === nameOf(wanted, there));
  if (found !== undefined) return found;
  const what =
    wanted === undefined
      ? 'writable layer'
      : wanted === 'previous'
        ? 'earlier ephemeral layer'
        : `layer ${JSON.stringify(wanted)}`;
  throw new ImgbootError('IMGBOOT_NO_SUCH_ROOT', `no ${what} is kept of ${place.name}`, {
    hint: there.length === 0 ? 'it was never booted, or only into RAM' : `there is ${there.join(', ')}`,
  });
}

/** The latest first. */
function keptLayers({ directory, booted }: Place): string[] {
  const names = existsSync(directory) ? readdirSync(directory).filter((name) => LAYER.test(name)) : [];
  const numbered = names.filter((name) => name.startsWith('ephemeral.'));
  return [
    ...(booted === 'ram' ? ['ram'] : []),
    ...names.filter((name) => !numbered.includes(name)),
    ...numbered.sort((a, b) => numberOf(b) - numberOf(a)),
  ];
}

function usual({ booted, version }: Place, there: readonly string[]): string | undefined {
  if (booted !== undefined) return booted;
  const settings = version?.writable.startsWith('persistent') === true ? 'persistent' : 'ephemeral';
  return there.find((name) => name === settings) ?? there[0];
}

function nameOf(wanted: string, there: readonly string[]): string | undefined {
  return wanted === 'previous' ? there.find((name) => name.startsWith('ephemeral.')) : wanted;
}

function numberOf(name: string): number {
  return Number(name.slice(name.indexOf('.') + 1));
}
