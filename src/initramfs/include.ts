import { resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { RootedTree, type RootedEntry } from '../system/rooted.ts';
import type { ArchivePlan } from './archive-plan.ts';
import { ElfFile, isElf } from './elf.ts';
import { printable } from './member-line.ts';

/** A file or directory of this machine, and where it goes in the initramfs. */
export interface Include {
  source: string;
  destination: string;
}

/** Reads `SRC:DST`; DST begins with a slash, so SRC may have colons. @throws IMGBOOT_USAGE */
export function parseInclude(text: string): Include {
  const match = /^(.+):(\/.*)$/s.exec(text);
  const destination = match?.[2]?.replace(/\/+$/, '');
  if (match !== null && destination !== '' && !match[2]!.split('/').includes('..')) {
    return { source: match[1]!, destination: destination! };
  }
  throw new ImgbootError('IMGBOOT_USAGE', `${JSON.stringify(text)} is not SRC:DST`, {
    hint: 'such as --include ./motd:/etc/motd; DST is an absolute path in the initramfs',
  });
}

/**
 * Plans the user's own files: modes as they are, everything owned by root. They are not looked at, but for a warning
 * where a program lacks a library.
 * @throws IMGBOOT_NO_SUCH_FILE, IMGBOOT_BAD_NAME, IMGBOOT_CANNOT_READ, IMGBOOT_ARCHIVE_LIMIT
 */
export function planIncludes(
  plan: ArchivePlan,
  includes: readonly Include[],
  warnings: string[],
): RootedEntry[] {
  const tree = new RootedTree('/');
  const programs: RootedEntry[] = [];
  for (const { source, destination } of includes) {
    const entry = tree.resolve(resolve(source));
    if (entry === undefined) {
      throw new ImgbootError('IMGBOOT_NO_SUCH_FILE', `there is no ${printable(source)} to include`, {
        hint: '--include takes SRC from this machine',
      });
    }
    plan.because(`--include ${source}`, () =>
      planEntry(plan, tree, { entry, destination, programs, warnings }),
    );
  }
  return programs;
}

interface Planned {
  entry: RootedEntry;
  destination: string;
  programs: RootedEntry[];
  warnings: string[];
}

function planEntry(plan: ArchivePlan, tree: RootedTree, { entry, destination, ...rest }: Planned): void {
  if (entry.kind === 'directory') {
    plan.addDirectory(destination, entry.mode & 0o7777);
    for (const name of tree.list(entry.path)) {
      const below = tree.locate(`${entry.path}/${name}`);
      // A name that is no UTF-8 comes changed out of the list.
      if (below === undefined) throw badName(`${entry.path}/${name}`);
      planEntry(plan, tree, { entry: below, destination: `${destination}/${name}`, ...rest });
    }
  } else if (entry.kind === 'symlink') plan.addSymlink(destination, tree.targetOf(entry));
  else if (entry.kind === 'file') {
    const load = (): Buffer => tree.readShared(entry);
    plan.addFile(destination, { expectedBytes: entry.sizeBytes, load }, entry.mode);
    if (isElf(tree.read(entry, 64))) rest.programs.push(entry);
  } else rest.warnings.push(`${printable(entry.path)} is no file, directory or link, and is not included`);
}

/** Says which libraries of included programs are in the archive under no path. */
export function warnOfMissingLibraries(
  plan: ArchivePlan,
  programs: readonly RootedEntry[],
  warnings: string[],
): void {
  if (programs.length === 0) return;
  const tree = new RootedTree('/');
  const names = new Set(plan.names());
  for (const entry of programs) {
    const { needed } = new ElfFile(tree.readShared(entry), entry.path).dynamic();
    const missing = needed.filter((name) => !names.has(name.slice(name.lastIndexOf('/') + 1)));
    if (missing.length > 0) {
      warnings.push(`${printable(entry.path)} needs ${missing.join(', ')}: include that, too`);
    }
  }
}

function badName(path: string): ImgbootError {
  return new ImgbootError('IMGBOOT_BAD_NAME', `${printable(path)} has a name that is not UTF-8`, {
    hint: 'rename it',
  });
}
