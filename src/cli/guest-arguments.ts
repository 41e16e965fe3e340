/** What of a flag tells where its value is. */
interface FlagShape {
  type: 'boolean' | 'option';
  char?: string | undefined;
  allowNo?: boolean | undefined;
}

export interface SplitArguments {
  /** The flags, as they were given. */
  own: string[];
  /** From the first positional on: everything there is the guest's, whatever it looks like. */
  guest: string[];
}

/**
 * Splits a command line at its first word that is neither a flag nor a flag's value; a `--` may stand before it. Pure.
 */
export function splitGuestArguments(
  argv: readonly string[],
  flags: Readonly<Record<string, FlagShape>>,
): SplitArguments {
  let at = 0;
  for (; at < argv.length; at += 1) {
    const word = argv[at]!;
    if (word === '--') return { own: argv.slice(0, at), guest: argv.slice(at + 1) };
    if (!word.startsWith('-') || word === '-') break;
    if (takesNextWord(word, flags)) at += 1;
  }
  return { own: argv.slice(0, at), guest: argv.slice(at) };
}

/** Puts a `--` where the guest's words begin, so that nobody before us (the help, the shell's completion) reads them. */
export function guardGuestArguments(
  argv: readonly string[],
  flags: Readonly<Record<string, FlagShape>>,
): string[] {
  const { own, guest } = splitGuestArguments(argv, flags);
  return guest.length === 0 ? own : [...own, '--', ...guest];
}

function takesNextWord(word: string, flags: Readonly<Record<string, FlagShape>>): boolean {
  if (word.startsWith('--')) return !word.includes('=') && flags[word.slice(2)]?.type === 'option';
  const byChar = new Map(Object.values(flags).map((flag) => [flag.char, flag]));
  // In a group such as -itv, the first that takes a value takes the rest of the word, or else the next one.
  for (let index = 1; index < word.length; index += 1) {
    if (byChar.get(word[index])?.type === 'option') return index === word.length - 1;
  }
  return false;
}
