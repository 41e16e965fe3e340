import type { ElfFile } from './elf.ts';

/** A library that a program or library opens by itself when it wants to. */
export interface OpenedLibrary {
  /** `required`: it is of no use without; `recommended`: its usual work; `suggested`: what few need. */
  priority: 'required' | 'recommended' | 'suggested';
  /** Sonames, the best first; one of them is enough. */
  sonames: string[];
}

/** The owner and type of the note. @see https://uapi-group.org/specifications/specs/elf_dlopen_metadata/ */
const OWNER = 'FDO';
const TYPE = 0x407c_0c0a;

/** What an ELF file's .note.dlopen says; what is no such list is passed over, as it decides nothing that must be. */
export function openedLibraries(elf: ElfFile): OpenedLibrary[] {
  return elf
    .notes()
    .filter(({ owner, type }) => owner === OWNER && type === TYPE)
    .flatMap(({ description }) => parse(description.toString('utf8').replace(/\0+$/, '')));
}

function parse(text: string): OpenedLibrary[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: { soname?: unknown; priority?: unknown } | null) => {
    const sonames = Array.isArray(entry?.soname)
      ? entry.soname.filter((name) => typeof name === 'string')
      : [];
    if (sonames.length === 0) return [];
    const { priority } = entry!;
    // Without one, it is recommended.
    const known = priority === 'required' || priority === 'suggested' ? priority : 'recommended';
    return [{ priority: known, sonames }];
  });
}
