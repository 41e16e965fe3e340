import { ImgbootError } from '../errors.ts';

const binaryUnits: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** Bytes of `512M`, `4G`, `1048576`: powers of two, as docker and qemu take them. @throws IMGBOOT_USAGE */
export function parseSize(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)([kmgt]?)(?:i?b)?$/i.exec(text);
  const bytes = match === null ? 0 : Math.floor(Number(match[1]) * binaryUnits[match[2]!.toLowerCase()]!);
  if (bytes > 0) return bytes;
  throw new ImgbootError('IMGBOOT_USAGE', `not a size: ${JSON.stringify(text)}`, {
    hint: 'a size is a number with k, M, G or T, such as 512M',
  });
}
