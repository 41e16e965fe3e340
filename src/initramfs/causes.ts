import { printable } from './member-line.ts';

/** Where an initramfs of ours says why each file is in it; for lsinitramfs --explain. */
export const CAUSES_PATH = 'etc/imgboot/causes';

/** A cause on a line of its own, and behind it the files it brought, each after a blank. */
export function causesText(files: Iterable<{ path: string; cause: string }>): string {
  const byCause = new Map<string, string[]>();
  for (const { path, cause } of files) {
    const paths = byCause.get(cause) ?? [];
    byCause.set(cause, paths);
    paths.push(` ${printable(path.replace(/^\//, ''))}\n`);
  }
  return [...byCause].map(([cause, paths]) => `${printable(cause)}\n${paths.join('')}`).join('');
}

/** The cause of each file, by its path as {@link printable} writes it. */
export function parseCauses(text: string): Map<string, string> {
  const causes = new Map<string, string>();
  let cause = '';
  for (const line of text.split('\n')) {
    if (line.startsWith(' ')) causes.set(line.slice(1), cause);
    else cause = line;
  }
  return causes;
}
