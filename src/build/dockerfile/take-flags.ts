/** Takes the words at the start that begin with `--`, up to a lone `--`. Quotes hide spaces. */
export function takeFlags(args: string, escape: string): { flags: string[]; rest: string } {
  const flags: string[] = [];
  let position = 0;
  for (;;) {
    while (position < args.length && /\s/.test(args[position]!)) position++;
    if (!args.startsWith('--', position)) return { flags, rest: args.slice(position).trim() };
    const { word, end } = takeWord(args, position, escape);
    position = end;
    if (word === '--') return { flags, rest: args.slice(position).trim() };
    flags.push(word);
  }
}

function takeWord(args: string, start: number, escape: string): { word: string; end: number } {
  let word = '';
  let quote: string | undefined;
  let position = start;
  for (; position < args.length; position++) {
    const char = args[position]!;
    if (char === escape) {
      position++;
      word += args[position] ?? '';
    } else if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else word += char;
    } else if (/\s/.test(char)) break;
    else if (char === '"' || char === "'") quote = char;
    else word += char;
  }
  return { word, end: Math.min(position, args.length) };
}
