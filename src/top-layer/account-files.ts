/** A file with this name at a top layer's top asks for account files that replace the image's. */
export const REPLACE_ACCOUNTS = '.imgboot-replace-accounts';

/** The files of /etc that are merged by name. */
export const accountFiles = ['passwd', 'group', 'shadow', 'gshadow', 'subuid', 'subgid'] as const;

/**
 * An image's account file and a machine's in one: the image's order, the machine's lines where it has the name, and at
 * the end the names that only the machine has. Byte strings. Pure; the same as hooks/lib/toplayer.sh does.
 */
export function mergeAccounts(image: string, machine: string): string {
  const lines = linesOf(machine);
  const byName = Map.groupBy(lines, nameOf);
  const done = new Set<string>();
  const merged = linesOf(image).flatMap((line) => {
    const name = nameOf(line);
    const own = /^(?:$|[#,])/.test(name) ? undefined : byName.get(name);
    if (own === undefined) return [line];
    if (done.has(name)) return [];
    done.add(name);
    return own;
  });
  const more = lines.filter((line) => line !== '' && !done.has(nameOf(line)));
  return [...merged, ...more].map((line) => `${line}\n`).join('');
}

/** A line of an account file, in its fields. */
export interface AccountLine {
  name: string;
  fields: string[];
}

/** The lines that say something. */
export function parseAccounts(text: string): AccountLine[] {
  return linesOf(text)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ name: nameOf(line), fields: line.split(':') }));
}

/** As a shell reads them, which has no place for a NUL. */
function linesOf(text: string): string[] {
  const lines = text.replaceAll('\0', '').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function nameOf(line: string): string {
  return line.split(':', 1)[0]!;
}
