/** The part of cpio-stream that we use; it has no types of its own. */
declare module 'cpio-stream/lib/pack.js' {
  import type { Readable } from 'node:stream';
  import type { NewcHeader } from './newc.ts';

  /** What its `entry` passes on to `_encode`: the fields it insists on, and ours beside them. */
  interface PackHeader {
    name: string;
    mode: number;
    member?: NewcHeader;
  }

  interface Pack extends Readable {
    _encode: (header: PackHeader) => Buffer;
    entry(header: PackHeader, body: Buffer): unknown;
    finalize(): void;
  }

  export default function pack(options: { format: 'newc' }): Pack;
}
