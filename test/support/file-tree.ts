import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Files by path; a value `-> x` is a symbolic link to x. */
export type FileTree = Record<string, string | Buffer>;

/** Writes files and links into a directory, with the directories they need. */
export function writeTree(root: string, files: FileTree): void {
  for (const [name, content] of Object.entries(files)) {
    const target = path.join(root, name);
    mkdirSync(path.dirname(target), { recursive: true });
    if (typeof content === 'string' && content.startsWith('-> ')) symlinkSync(content.slice(3), target);
    else writeFileSync(target, content);
  }
}
