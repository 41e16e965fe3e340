import { availableParallelism } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { ImgbootError } from '../errors.ts';
import { startProcess } from './process.ts';

interface Waiting {
  bytes: Buffer;
  sizeBytes: number | undefined;
  resolve: (bytes: Buffer) => void;
  reject: (reason: unknown) => void;
}

let waiting: Waiting[] = [];

/**
 * Unpacks an .xz file's bytes with the xz of this machine: Node has none. Calls made in the same turn share a few
 * processes, one a processor.
 * @throws IMGBOOT_NEEDS_XZ, IMGBOOT_BAD_XZ
 */
export async function unxz(bytes: Buffer): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    if (waiting.length === 0) setImmediate(startBatches);
    waiting.push({ bytes, sizeBytes: unpackedSize(bytes), resolve, reject });
  });
}

function startBatches(): void {
  const files = waiting;
  waiting = [];
  for (const batch of divide(files)) void unpackBatch(batch);
}

/** Batches of about the same work, one a processor; what cannot be told apart in a batch has one of its own. */
function divide(files: readonly Waiting[]): Waiting[][] {
  const alone = files.filter(({ sizeBytes }) => sizeBytes === undefined).map((file) => [file]);
  const batches = Array.from({ length: availableParallelism() }, () => ({ files: [] as Waiting[], size: 0 }));
  const largestFirst = files
    .filter(({ sizeBytes }) => sizeBytes !== undefined)
    .sort((a, b) => b.bytes.length - a.bytes.length);
  for (const file of largestFirst) {
    const least = batches.reduce((a, b) => (b.size < a.size ? b : a));
    least.files.push(file);
    least.size += file.bytes.length;
  }
  return [...alone, ...batches.map(({ files }) => files).filter((files) => files.length > 0)];
}

/** xz takes files in a row, and writes what they hold in a row. */
async function unpackBatch(files: readonly Waiting[]): Promise<void> {
  try {
    const plain = await runXz(files.map(({ bytes }) => bytes));
    if (files.length === 1) {
      files[0]!.resolve(plain);
      return;
    }
    const expected = files.reduce((sum, { sizeBytes }) => sum + sizeBytes!, 0);
    if (plain.length !== expected)
      throw badXz(`it unpacked to ${plain.length} bytes in place of ${expected}`);
    let at = 0;
    for (const { sizeBytes, resolve } of files) resolve(plain.subarray(at, (at += sizeBytes!)));
  } catch (error) {
    for (const { reject } of files) reject(error);
  }
}

async function runXz(inputs: readonly Buffer[]): Promise<Buffer> {
  const child = await startProcess('xz', ['--decompress', '--stdout'], { stdin: 'pipe', stdout: 'pipe' });
  for (const input of inputs) child.stdin!.write(input);
  child.stdin!.end();
  const plain = await buffer(child.stdout!);
  const { exitCode, stderr } = await child.exited;
  if (exitCode === 0) return plain;
  // What setpriv ends with where there is no such program.
  if (exitCode === 127) {
    throw new ImgbootError('IMGBOOT_NEEDS_XZ', 'xz is not installed, and files to unpack are .xz', {
      hint: 'install it: apt-get install xz-utils',
    });
  }
  throw badXz(stderr.trim());
}

function badXz(why: string): ImgbootError {
  return new ImgbootError('IMGBOOT_BAD_XZ', `xz cannot unpack the data: ${why}`, {
    hint: 'a file is damaged',
  });
}

/**
 * The size that the index of a file with one stream names; undefined where it is not so simple.
 * @see the .xz file format, sections 2.1.2 and 4
 */
function unpackedSize(file: Buffer): number | undefined {
  if (file.length < 32 || file.toString('latin1', file.length - 2) !== 'YZ') return undefined;
  const footer = file.length - 12;
  const index = footer - (file.readUInt32LE(footer + 4) + 1) * 4;
  // A header of 12 bytes is before the blocks, and the index begins with a zero byte.
  if (index < 12 || file[index] !== 0) return undefined;
  const [records = 0, ...sizes] = variableLengthNumbers(file.subarray(index + 1, footer));
  if (sizes.length < records * 2) return undefined;
  let [packed, plain] = [0, 0];
  for (let record = 0; record < records; record++) {
    packed += Math.ceil(sizes[record * 2]! / 4) * 4;
    plain += sizes[record * 2 + 1]!;
  }
  // Were there a stream before this one, its blocks would not be counted here.
  return packed + 12 === index ? plain : undefined;
}

/** Numbers of seven bits a byte, the lowest first. */
function variableLengthNumbers(bytes: Buffer): number[] {
  const numbers: number[] = [];
  let [value, unit] = [0, 1];
  for (const byte of bytes) {
    value += (byte & 0x7f) * unit;
    unit *= 128;
    if ((byte & 0x80) !== 0) continue;
    numbers.push(value);
    [value, unit] = [0, 1];
  }
  return numbers;
}
