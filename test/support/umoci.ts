import { execa } from 'execa';

/** What umoci, another implementation, makes of an image of a layout. @returns the directory of its root file system */
export async function umociUnpack(image: string, bundle: string): Promise<string> {
  await execa('umoci', ['unpack', '--image', image, bundle]);
  return `${bundle}/rootfs`;
}
