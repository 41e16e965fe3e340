import { closeSync, existsSync, mkdirSync, openSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { syncTree } from '../system/durable.ts';

/** MSDOS_SUPER_MAGIC of statfs(2). */
const FAT = 0x4d_44;
/** More than all names that we ever have in a directory take. */
export const ROOM_BYTES = 8192;
/** mtools adds a cluster of 16 slots at most for one. */
const NAME_LENGTH = 100;
/** In slots of 32 bytes: 13 characters each, and one. */
const NAME_BYTES = (Math.ceil(NAME_LENGTH / 13) + 1) * 32;
/** The prefix of half-written files, so that a killed command's are swept. */
const STEM = '.new-imgboot-room-'.padEnd(NAME_LENGTH - 2, 'x');

/** Names that make a directory of FAT as large as it is ever to be. */
export const fillingNames: readonly string[] = Array.from(
  { length: Math.ceil(ROOM_BYTES / NAME_BYTES) },
  (_, number) => STEM + String(number).padStart(2, '0'),
);

/**
 * Makes a directory, if it is not there, and sees to it that, on FAT, it need not grow any more. A directory that grows
 * gets another cluster: its last one is chained to a new one, which is marked as the end. A disk that loses its power
 * may have written the first mark and not the second, and firmware then reads nothing of the directory at all, whatever
 * was in it before. A directory of FAT never shrinks, so this happens once, when nothing depends on what is new.
 */
export function makeRoomyDirectory(path: string): void {
  if (!existsSync(path)) {
    mkdirSync(path, { recursive: true });
    syncTree(path);
  }
  if (statfsSync(path).type === FAT) growDirectory(path);
}

/** Makes a directory as large as it is ever to be. */
export function growDirectory(path: string): void {
  const made: string[] = [];
  try {
    for (const name of fillingNames) {
      if (statSync(path).size >= ROOM_BYTES) break;
      const file = join(path, name);
      closeSync(openSync(file, 'w'));
      made.push(file);
    }
    if (made.length > 0) syncTree(path);
  } finally {
    for (const file of made) unlinkSync(file);
    if (made.length > 0) syncTree(path);
  }
}
