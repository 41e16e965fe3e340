import { join } from 'node:path';
import type { Store } from '../store/store.ts';
import type { KeptRoot } from './kept-root.ts';
import { statsAt } from './stats-at.ts';

/**
 * Which of these paths (byte strings) an image cannot decide, since the top layer has something there or on the way, or
 * deletes it. Directories lie over one another.
 */
export function pathsOfTopLayer(
  store: Store,
  { topLayer, chain, layer }: KeptRoot,
  paths: readonly string[],
): string[] {
  if (typeof topLayer !== 'object') return [];
  const isWhole = store.driver.name === 'btrfs' && layer !== 'ram';
  const image = join(store.paths.layers, chain[0]!);
  const decides = (path: string): boolean => {
    const found = statsAt(topLayer.directory, path);
    if (!isWhole) return found !== undefined && !found.isDirectory();
    const before = statsAt(image, path);
    if (found === undefined || before === undefined)
      return found?.isDirectory() === false || before !== undefined;
    return !found.isDirectory() && (found.ino !== before.ino || found.ctimeMs !== before.ctimeMs);
  };
  return paths.filter((path) => {
    const parts = path.split('/');
    return parts.some((_, index) => decides(parts.slice(0, index + 1).join('/')));
  });
}
