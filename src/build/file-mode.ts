import { ImgbootError } from '../errors.ts';

/** Gives a file's new mode from its mode; directories differ in what `X` means. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

const classBits: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007 };

/** A mode as chmod(1) takes it: octal, or symbolic clauses such as `u=rwX,go=rX`. @throws IMGBOOT_DOCKERFILE */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-7]{1,4}$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(',').map((clause) => {
    const match = /^([ugoa]*)([-+=])([rwxXst]*)$/.exec(clause);
    if (match === null)
      throw new ImgbootError('IMGBOOT_DOCKERFILE', `not a mode: ${JSON.stringify(text)}`, {
        hint: 'give it in octal (755) or as chmod has it (u=rwX,go=rX)',
      });
    return {
      who: match[1] === '' || match[1]!.includes('a') ? 'ugo' : match[1]!,
      operator: match[2]!,
      permissions: match[3]!,
    };
  });
  return (mode, isDirectory) =>
    clauses.reduce((current, clause) => applyClause(current, clause, isDirectory), mode);
}

function applyClause(
  mode: number,
  { who, operator, permissions }: { who: string; operator: string; permissions: string },
  isDirectory: boolean,
): number {
  const mask = who.split('').reduce((bits, one) => bits | classBits[one]!, 0);
  const bits = permissionBits(permissions, isDirectory || (mode & 0o111) !== 0) & mask;
  if (operator === '+') return mode | bits;
  if (operator === '-') return mode & ~bits;
  // What chmod(1) leaves a directory on =: its setuid and setgid bits.
  const cleared = isDirectory ? mask & 0o1777 : mask;
  return (mode & ~cleared) | bits;
}

function permissionBits(permissions: string, executable: boolean): number {
  let bits = 0;
  for (const permission of permissions) {
    if (permission === 'r') bits |= 0o444;
    else if (permission === 'w') bits |= 0o222;
    else if (permission === 'x' || (permission === 'X' && executable)) bits |= 0o111;
    else if (permission === 's') bits |= 0o6000;
    else if (permission === 't') bits |= 0o1000;
  }
  return bits;
}
