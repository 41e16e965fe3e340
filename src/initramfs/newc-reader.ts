import { ImgbootError } from '../errors.ts';
import { NEWC_CRC_MAGIC, NEWC_HEADER_BYTES, NEWC_MAGIC, S_IFLNK, S_IFMT, TRAILER } from './newc.ts';

/** A member of a cpio archive, without its content. */
export interface ArchiveMember {
  name: string;
  ino: number;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  mtimeSeconds: number;
  sizeBytes: number;
  device: { major: number; minor: number };
  /** Of a symbolic link. */
  target: string | undefined;
}

/** Takes members as they come, each begun, then its content in pieces, then ended. Pieces are not to be kept. */
export interface MemberSink {
  begin(member: ArchiveMember): void;
  content(piece: Buffer): void;
  end(): void;
}

/** As the kernel's own limits: linux/limits.h PATH_MAX, and a name that is a link's target. */
const PATH_MAX = 4096;

/** What the reader waits for: so many bytes that it needs together, or so many that it passes over. */
type State =
  | { kind: 'boundary' }
  | { kind: 'header' }
  | { kind: 'name'; member: ArchiveMember; nameBytes: number }
  | { kind: 'target'; member: ArchiveMember }
  | { kind: 'body'; bodyBytes: number; paddingBytes: number };

/**
 * Reads newc members from bytes that arrive in pieces. As the kernel does, it takes several archives in a row,
 * zero bytes between members, and an end without a trailer where a member has just ended.
 */
export class NewcReader {
  #state: State = { kind: 'boundary' };
  #pending: Buffer = Buffer.alloc(0);
  /** Plain bytes taken so far, for messages. */
  #offset = 0;
  readonly #sink: MemberSink | undefined;

  /** @param sink gets the content of what is no symbolic link, which is passed over without it */
  constructor(sink?: MemberSink) {
    this.#sink = sink;
  }

  /** The members that are complete with these bytes. @throws IMGBOOT_BAD_INITRAMFS */
  push(bytes: Buffer): ArchiveMember[] {
    const members: ArchiveMember[] = [];
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#step(members)) continue;
    return members;
  }

  /**
   * How many of the bytes pushed were not taken, because at a boundary something came that is no member: where a
   * compressed part may begin.
   */
  get untaken(): number {
    return this.#pending.length;
  }

  /** Whether a member may begin here. */
  get atBoundary(): boolean {
    return this.#state.kind === 'boundary';
  }

  /** Drops what was not taken; the caller reads it otherwise. */
  leave(): void {
    this.#pending = Buffer.alloc(0);
  }

  /** @throws IMGBOOT_BAD_INITRAMFS where the bytes end inside a member */
  end(): void {
    if (this.#state.kind === 'boundary' && this.#pending.length === 0) return;
    throw badInitramfs(`it is cut off in a member, after ${this.#offset} bytes`);
  }

  #step(members: ArchiveMember[]): boolean {
    const state = this.#state;
    switch (state.kind) {
      case 'boundary': {
        let zeros = 0;
        while (zeros < this.#pending.length && this.#pending[zeros] === 0) zeros++;
        this.#take(zeros);
        if (this.#pending[0] !== 0x30) return false;
        this.#state = { kind: 'header' };
        return true;
      }
      case 'header': {
        const header = this.#need(NEWC_HEADER_BYTES);
        if (header === undefined) return false;
        this.#state = this.#parseHeader(header);
        return true;
      }
      case 'name': {
        const padded = padding(NEWC_HEADER_BYTES + state.nameBytes);
        const bytes = this.#need(state.nameBytes + padded);
        if (bytes === undefined) return false;
        state.member.name = textBeforeZero(bytes.subarray(0, state.nameBytes));
        this.#state = this.#afterName(state.member, members);
        return true;
      }
      case 'target': {
        const { sizeBytes } = state.member;
        const bytes = this.#need(sizeBytes + padding(sizeBytes));
        if (bytes === undefined) return false;
        state.member.target = textBeforeZero(bytes.subarray(0, sizeBytes));
        members.push(state.member);
        this.#sink?.begin(state.member);
        this.#sink?.end();
        this.#state = { kind: 'boundary' };
        return true;
      }
      case 'body':
        return this.#takeBody(state);
      default:
        return state satisfies never;
    }
  }

  #parseHeader(header: Buffer): State {
    const magic = header.toString('latin1', 0, 6);
    if (magic !== NEWC_MAGIC && magic !== NEWC_CRC_MAGIC) {
      throw badInitramfs(
        `there is no cpio member in the newc format at byte ${this.#offset - header.length}`,
      );
    }
    const text = header.toString('latin1', 6);
    if (!/^[0-9a-fA-F]{104}$/.test(text)) {
      throw badInitramfs(`the header at byte ${this.#offset - header.length} is damaged`);
    }
    const field = (index: number): number => Number.parseInt(text.slice(index * 8, index * 8 + 8), 16);
    const nameBytes = field(11);
    if (nameBytes === 0 || nameBytes > PATH_MAX) {
      throw badInitramfs(
        `the header at byte ${this.#offset - header.length} names a name of ${nameBytes} bytes`,
      );
    }
    const member: ArchiveMember = {
      name: '',
      ino: field(0),
      mode: field(1),
      uid: field(2),
      gid: field(3),
      nlink: field(4),
      mtimeSeconds: field(5),
      sizeBytes: field(6),
      device: { major: field(9), minor: field(10) },
      target: undefined,
    };
    return { kind: 'name', member, nameBytes };
  }

  #afterName(member: ArchiveMember, members: ArchiveMember[]): State {
    if (member.name === TRAILER) return { kind: 'boundary' };
    if ((member.mode & S_IFMT) === S_IFLNK) {
      if (member.sizeBytes > PATH_MAX)
        throw badInitramfs(`the target of the link ${member.name} is too long`);
      return { kind: 'target', member };
    }
    members.push(member);
    this.#sink?.begin(member);
    return { kind: 'body', bodyBytes: member.sizeBytes, paddingBytes: padding(member.sizeBytes) };
  }

  /** @returns whether the member is complete */
  #takeBody(state: State & { kind: 'body' }): boolean {
    const body = Math.min(state.bodyBytes, this.#pending.length);
    if (body > 0) this.#sink?.content(this.#pending.subarray(0, body));
    this.#take(body);
    const bodyBytes = state.bodyBytes - body;
    const skipped = bodyBytes > 0 ? 0 : Math.min(state.paddingBytes, this.#pending.length);
    this.#take(skipped);
    const paddingBytes = state.paddingBytes - skipped;
    const isComplete = bodyBytes === 0 && paddingBytes === 0;
    if (isComplete) this.#sink?.end();
    this.#state = isComplete ? { kind: 'boundary' } : { kind: 'body', bodyBytes, paddingBytes };
    return isComplete;
  }

  #need(count: number): Buffer | undefined {
    if (this.#pending.length < count) return undefined;
    const bytes = this.#pending.subarray(0, count);
    this.#take(count);
    return bytes;
  }

  #take(count: number): void {
    this.#pending = this.#pending.subarray(count);
    this.#offset += count;
  }
}

export function badInitramfs(why: string, cause?: unknown): ImgbootError {
  return new ImgbootError('IMGBOOT_BAD_INITRAMFS', `this is no whole initramfs: ${why}`, {
    cause,
    hint: 'make it again, or give a file that imgboot mkinitramfs, initramfs-tools, dracut or mkinitcpio made',
  });
}

/** Members and bodies begin at multiples of four. */
function padding(length: number): number {
  return (4 - (length % 4)) % 4;
}

function textBeforeZero(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}
