import { randomBytes, createCipheriv } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../system/exec.ts';
import { dataExtents, type Extent } from '../system/extents.ts';
import type { Progress } from '../system/progress.ts';

/** Where the encrypted content begins: cryptsetup's default for LUKS2. */
export const LUKS_HEADER_BYTES = 16 * 2 ** 20;
/** dm-crypt's sector of the volumes that we make; the initialisation vector still counts in 512 bytes (plain64). */
const SECTOR_BYTES = 4096;
const VECTOR_UNIT_BYTES = 512;
/** AES-256 in XTS mode takes two keys. */
const KEY_BYTES = 64;
/** What unlocking may take of a small machine's memory, in KiB; cryptsetup would go by this host's. */
const PBKDF_MEMORY_KIB = 256 * 1024;
const CHUNK_BYTES = 1024 * SECTOR_BYTES;

export interface LuksRequest {
  passphrase: string | Uint8Array;
  uuid: string;
  /** How long this host takes to try a passphrase. */
  iterMs: number;
  /** A directory that no disk holds: the key is there for a moment. */
  secrets: string;
}

/** Formats a device as LUKS2, without device-mapper. @returns the volume key */
export async function formatLuks(device: string, request: LuksRequest): Promise<Buffer> {
  const key = randomBytes(KEY_BYTES);
  mkdirSync(request.secrets, { recursive: true });
  const keyFile = join(request.secrets, 'volume-key');
  writeFileSync(keyFile, key, { mode: 0o600 });
  try {
    await runCommand(
      'cryptsetup',
      Object.entries({
        type: 'luks2',
        uuid: request.uuid,
        cipher: 'aes-xts-plain64',
        'key-size': KEY_BYTES * 8,
        'master-key-file': keyFile,
        'sector-size': SECTOR_BYTES,
        offset: LUKS_HEADER_BYTES / VECTOR_UNIT_BYTES,
        'pbkdf-memory': PBKDF_MEMORY_KIB,
        'iter-time': request.iterMs,
        'key-file': '-',
      })
        .flatMap(([name, value]) => [`--${name}`, String(value)])
        .concat('luksFormat', '--batch-mode', device),
      { input: request.passphrase },
    );
  } finally {
    rmSync(keyFile, { force: true });
  }
  return key;
}

/**
 * Writes a file's content to a LUKS2 device as dm-crypt would.
 * @param isSparse what the file has never held is left as it is on the device, and reads as noise there: right for a
 *   file system that reads nothing that it has not written
 */
export function encryptInto(
  device: string,
  request: { file: string; key: Buffer; isSparse: boolean; progress: Progress },
): void {
  const from = openSync(request.file, 'r');
  const to = openSync(device, 'r+');
  try {
    const total = statSync(request.file).size;
    const extents: Iterable<Extent> = request.isSparse
      ? dataExtents(from, total)
      : [{ start: 0, end: total }];
    for (const { start, end } of extents) {
      const first = Math.floor(start / SECTOR_BYTES) * SECTOR_BYTES;
      for (let at = first; at < end; at += CHUNK_BYTES) {
        const chunk = Buffer.alloc(
          Math.min(CHUNK_BYTES, Math.ceil((end - at) / SECTOR_BYTES) * SECTOR_BYTES),
        );
        readSync(from, chunk, 0, chunk.length, at);
        writeWhole(to, encryptSectors(chunk, { key: request.key, offsetBytes: at }), LUKS_HEADER_BYTES + at);
        request.progress({ step: 'encrypting', done: at, total });
      }
    }
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

/** aes-xts-plain64: each sector on its own, by its number. Pure. */
export function encryptSectors(
  plain: Buffer,
  { key, offsetBytes }: { key: Buffer; offsetBytes: number },
): Buffer {
  const parts: Buffer[] = [];
  const vector = Buffer.alloc(16);
  for (let at = 0; at < plain.length; at += SECTOR_BYTES) {
    vector.writeBigUInt64LE(BigInt((offsetBytes + at) / VECTOR_UNIT_BYTES));
    parts.push(createCipheriv('aes-256-xts', key, vector).update(plain.subarray(at, at + SECTOR_BYTES)));
  }
  return Buffer.concat(parts);
}

function writeWhole(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}
