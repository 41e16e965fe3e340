import { ImgbootError } from '../errors.ts';

const PREFIX = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Files of aufs itself (`.wh..wh.aufs`, `.wh..wh.plnk`), which old layers carry. */
const AUFS_PREFIX = '.wh..wh.';

/** What an entry's last name component means in a layer tar. */
export type WhiteoutName =
  | { kind: 'entry' }
  /** Hides `name` of the same directory in the layers below. */
  | { kind: 'whiteout'; name: string }
  /** Hides all that the layers below have in the same directory. */
  | { kind: 'opaque' }
  | { kind: 'ignored' };

/**
 * @see image-spec layer.md, "Whiteouts"
 * @throws IMGBOOT_BAD_LAYER for a whiteout of nothing, of `.` or of `..`
 */
export function classifyName(name: string, path: string): WhiteoutName {
  if (!name.startsWith(PREFIX)) return { kind: 'entry' };
  if (name === OPAQUE) return { kind: 'opaque' };
  if (name.startsWith(AUFS_PREFIX)) return { kind: 'ignored' };
  const hidden = name.slice(PREFIX.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw new ImgbootError(
      'IMGBOOT_BAD_LAYER',
      `the layer deletes ${JSON.stringify(hidden)} by ${JSON.stringify(path)}, which is no file name`,
    );
  }
  return { kind: 'whiteout', name: hidden };
}
