/**
 * A byte string as text that no two names share and no terminal obeys: what is no printable UTF-8 is written as `\xNN`,
 * a backslash as two.
 */
export function showName(name: string): string {
  const text = Buffer.from(name, 'latin1').toString('utf8');
  const isUtf8 = Buffer.from(text, 'utf8').toString('latin1') === name;
  const shown = isUtf8 ? text : name;
  const strange = isUtf8 ? /[\p{Cc}\p{Cf}\u2028\u2029\\]/gu : /[^\x20-\x7e]|\\/g;
  return shown.replaceAll(strange, (char) => (char === '\\' ? '\\\\' : escapeBytes(char, isUtf8)));
}

/** The byte string that {@link showName} shows, or that somebody has typed. */
export function parseShownName(text: string): string {
  return Buffer.from(text)
    .toString('latin1')
    .replaceAll(/\\(?:x([0-9a-f]{2})|\\)/g, (_, hex?: string) =>
      hex === undefined ? '\\' : String.fromCharCode(Number.parseInt(hex, 16)),
    );
}

function escapeBytes(text: string, isUtf8: boolean): string {
  return [...Buffer.from(text, isUtf8 ? 'utf8' : 'latin1')]
    .map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
    .join('');
}
