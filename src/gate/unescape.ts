/** fstab and crypttab write blanks, tabs and backslashes of names in octal. */
export function unescapeOctal(word: string): string {
  const bytes = Buffer.from(word);
  if (!bytes.includes('\\')) return word;
  return Buffer.from(
    bytes
      .toString('latin1')
      .replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    'latin1',
  ).toString();
}

/** udev writes what has no place in a path as `\x20`. */
export function unescapeHex(word: string): string {
  return Buffer.from(
    Buffer.from(word)
      .toString('latin1')
      .replaceAll(/\\x([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString();
}
