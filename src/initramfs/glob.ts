/**
 * A shell pattern as an expression for whole words: `*` stands for any characters (also `/`), `?` for one, `[a-f]`
 * and `[!a-f]` for one of several. As fnmatch(3) without flags, which kmod matches aliases with.
 */
export function globExpression(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!;
    const close = character === '[' ? pattern.indexOf(']', at + 2) : -1;
    if (character === '*') source += '.*';
    else if (character === '?') source += '.';
    else if (close === -1) source += escaped(character);
    else {
      source += bracket(pattern.slice(at + 1, close));
      at = close;
    }
  }
  return new RegExp(`^${source}$`, 's');
}

/** A pattern for names in which `-` and `_` are one and written `_`, as kmod takes them; in brackets `-` is a range. */
export function normalPattern(pattern: string): string {
  return pattern.replaceAll(/\[[^\]]*\]|-/g, (part) => (part === '-' ? '_' : part));
}

function bracket(inside: string): string {
  const negated = /^[!^]/.test(inside);
  const members = (negated ? inside.slice(1) : inside).replaceAll(/[\\\]^[]/g, '\\$&');
  return `[${negated ? '^' : ''}${members}]`;
}

function escaped(character: string): string {
  return /[\\^$.|?*+()[\]{}]/.test(character) ? `\\${character}` : character;
}
