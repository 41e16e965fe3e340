import { ImgbootError } from '../errors.ts';

/** linux/fs/btrfs/send.h */
const MAGIC = 'btrfs-stream\0';
const HEADER_BYTES = MAGIC.length + 4;
const COMMAND_HEADER_BYTES = 10;
const ATTRIBUTE_HEADER_BYTES = 4;
const SUBVOL = 1;
const SNAPSHOT = 2;
const RENAME = 9;
const END = 21;
const PATH = 15;
const PATH_TO = 16;
const PATH_LINK = 17;

/** A path that a stream speaks of, as a byte string: `/usr/lib`; the root is empty. */
export interface SentPath {
  path: string;
  /** It was moved: what lies below it may be spoken of by its other name, or not at all. */
  moved: boolean;
}

/**
 * The paths that a `btrfs send --no-data -p` speaks of. What differs between the two subvolumes is among them, but for
 * other names of the same file. Temporary names of the stream's own are among them, too.
 * @see btrfs-send(8); linux/fs/btrfs/send.h
 * @throws IMGBOOT_BAD_STREAM
 */
export function sentPaths(stream: Buffer): SentPath[] {
  if (stream.length < HEADER_BYTES || stream.toString('latin1', 0, MAGIC.length) !== MAGIC) throw bad();
  const paths: SentPath[] = [];
  let ended = false;
  for (let at = HEADER_BYTES; at < stream.length && !ended;) {
    if (at + COMMAND_HEADER_BYTES > stream.length) throw bad();
    const start = at + COMMAND_HEADER_BYTES;
    const end = start + stream.readUInt32LE(at);
    const command = stream.readUInt16LE(at + 4);
    if (end > stream.length) throw bad();
    ended = command === END;
    if (command !== SUBVOL && command !== SNAPSHOT) {
      for (const path of pathsOf(stream.subarray(start, end)))
        paths.push({ path, moved: command === RENAME });
    }
    at = end;
  }
  if (!ended) throw bad();
  return paths;
}

function pathsOf(attributes: Buffer): string[] {
  const paths: string[] = [];
  for (let at = 0; at < attributes.length;) {
    if (at + ATTRIBUTE_HEADER_BYTES > attributes.length) throw bad();
    const type = attributes.readUInt16LE(at);
    const start = at + ATTRIBUTE_HEADER_BYTES;
    const end = start + attributes.readUInt16LE(at + 2);
    if (type === PATH || type === PATH_TO || type === PATH_LINK)
      paths.push(cleaned(attributes.toString('latin1', start, end)));
    at = end;
  }
  return paths;
}

/** Most have no slash before them, and some have one. */
function cleaned(path: string): string {
  const parts = path.split('/').filter(Boolean);
  return parts.length === 0 ? '' : `/${parts.join('/')}`;
}

function bad(): ImgbootError {
  return new ImgbootError('IMGBOOT_BAD_STREAM', 'what btrfs send said cannot be understood', {
    hint: 'btrfs-progs may be newer than this imgboot',
  });
}
