import { ImgbootError } from '../errors.ts';
import type { LoaderName } from './machine.ts';

/** What the x86 kernel takes (asm/setup.h: COMMAND_LINE_SIZE), without the byte that ends it. */
const COMMAND_LINE_BYTES = 2047;

/** Splits a kernel command line as the kernel does: blanks separate words, except between double quotes. Pure. */
export function splitKernelWords(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"]|"[^"]*(?:"|$))+/g)].map(([word]) => word);
}

/**
 * Refuses what does not reach the kernel as it is written: control characters and other letters than ASCII's, quotes
 * without their end, and through GRUB, which puts a backslash before each, `\` and `'`, and `"` inside a word.
 * @throws IMGBOOT_USAGE
 */
export function checkKernelWords(text: string, loader: LoaderName): string {
  const refuse = (why: string): never => {
    throw new ImgbootError(
      'IMGBOOT_USAGE',
      `cannot put ${JSON.stringify(text)} on a kernel command line: ${why}`,
      {
        hint: 'give words of printable ASCII, such as quiet or console=ttyS0; blanks only between double quotes',
      },
    );
  };
  if (!/^[\x20-\x7e]*$/.test(text)) refuse('it has characters that are not printable ASCII');
  if ((text.match(/"/g) ?? []).length % 2 === 1) refuse('a double quote has no partner');
  if (Buffer.byteLength(text) > COMMAND_LINE_BYTES)
    refuse(`the kernel reads ${COMMAND_LINE_BYTES} bytes of it`);
  if (loader === 'grub') {
    if (/['\\]/.test(text)) refuse("GRUB changes \\ and '");
    const inside = splitKernelWords(text).find((word) => unquoteKernelWord(word).includes('"'));
    if (inside !== undefined) refuse(`GRUB changes the quotes inside ${inside}`);
  }
  return text;
}

/** A word without the quotes that the kernel takes away: those around all of it, or around its value. */
export function unquoteKernelWord(word: string): string {
  return word.replace(/^"(.*)"$/s, '$1').replace(/^([^"=]*=)"([^"]*)"$/s, '$1$2');
}
