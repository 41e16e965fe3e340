import { ImgbootError, errorMessage } from '../errors.ts';
import { runFilter, type Filter } from './filter.ts';
import { decodeXz, hasLiblzma } from './liblzma.ts';

/** No kernel module or firmware file is larger; an index that says so is damaged. */
const MAX_SIZE_BYTES = 1024 * 1024 * 1024;

/**
 * Unpacks an .xz file's bytes: Node cannot. By liblzma on other threads; what is not so simple, and where the library
 * is missing, by the xz of this machine.
 * @param allocate gives memory of a size for the result; fresh by default
 * @throws IMGBOOT_NEEDS_PROGRAM, IMGBOOT_BAD_XZ
 */
export async function unxz(
  bytes: Buffer,
  allocate: (sizeBytes: number) => Buffer = (sizeBytes) => Buffer.allocUnsafeSlow(sizeBytes),
): Promise<Buffer> {
  const sizeBytes = unpackedSize(bytes);
  if (sizeBytes === undefined || sizeBytes > MAX_SIZE_BYTES || !hasLiblzma()) return await runXz(bytes);
  const plain = allocate(sizeBytes);
  if (!(await decodeXz(bytes, plain))) throw badXz('its data is corrupt');
  return plain;
}

const unpacker: Filter = {
  command: ['xz', '--decompress', '--stdout'],
  package: 'xz-utils',
  purpose: 'files to unpack are .xz',
};

async function runXz(bytes: Buffer): Promise<Buffer> {
  try {
    return await runFilter(unpacker, bytes);
  } catch (cause) {
    throw cause instanceof ImgbootError && cause.code === 'IMGBOOT_NEEDS_PROGRAM'
      ? cause
      : badXz(errorMessage(cause));
  }
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
