import { ImgbootError } from '../errors.ts';
import type { Contents } from './contents.ts';
import { readProfile, type MachineProfile, type RootStack } from './machine-profile.ts';
import { normalName } from './module-index.ts';
import { recordMachine } from './record-machine.ts';

/** Which modules are wanted; the union of all that is named, changed by the rules. */
export interface ModuleSelection {
  /** Named sets of hooks/contents/modules. */
  sets: readonly string[];
  /** Single modules. */
  names: readonly string[];
  /** Machines whose hardware and root are to be served. */
  machines?: readonly MachineProfile[] | undefined;
  /** What is to be mounted besides: programs that it takes have to be there. */
  roots?: readonly RootStack[] | undefined;
  /** In their order: of those that match a module, the last decides. */
  rules?: readonly ModuleRule[] | undefined;
  /** The root file systems, in place of those that the sets bring. */
  filesystems?: readonly string[] | undefined;
}

/** For any machine. */
export const DEFAULT_MODULES = 'universal';
export const defaultModuleSelection: ModuleSelection = { sets: [DEFAULT_MODULES], names: [] };

/** An --add or --omit. Without a slash the pattern is of names, with one of paths below /lib/modules/VERSION. */
export interface ModuleRule {
  verb: 'add' | 'omit';
  pattern: string;
}

const PROFILE_PREFIX = 'profile:';

/**
 * Reads `universal`, `host`, `profile:FILE`, `virtio,nbd,9p`. For `host`, this machine is looked at.
 * @throws IMGBOOT_USAGE where it names nothing; IMGBOOT_BAD_PROFILE, IMGBOOT_CANNOT_READ
 */
export function parseModuleSelection(text: string, contents: Contents): ModuleSelection {
  const words = text.split(',').filter((word) => word !== '');
  if (words.length === 0) {
    throw new ImgbootError('IMGBOOT_USAGE', 'no modules are named', {
      hint: `choose ${[...contents.moduleSetNames, 'host', 'profile:FILE'].join(', ')}, or names of modules`,
    });
  }
  const sets = new Set(contents.moduleSetNames);
  const isMachine = (word: string): boolean => word === 'host' || word.startsWith(PROFILE_PREFIX);
  const machines = words
    .filter(isMachine)
    .map((word) => (word === 'host' ? recordMachine() : readProfile(word.slice(PROFILE_PREFIX.length))));
  return {
    sets: words.filter((word) => sets.has(word)),
    names: words.filter((word) => !sets.has(word) && !isMachine(word)),
    ...(machines.length === 0 ? {} : { machines }),
  };
}

/** The modules that are wanted by name, or for what a machine's root lies on: what they need of programs has to be there. */
export function askedModules(selection: ModuleSelection, contents: Contents): Set<string> {
  const roots = [...(selection.roots ?? []), ...(selection.machines ?? []).map(({ root }) => root)];
  const layers = roots.length === 0 ? new Map<string, string[]>() : contents.layers();
  const added = (selection.rules ?? []).filter(({ verb }) => verb === 'add').map(({ pattern }) => pattern);
  const underRoots = roots.flatMap((root) => root.layers.flatMap((layer) => layers.get(layer) ?? []));
  return new Set([...selection.names, ...added, ...underRoots].map(normalName));
}

/** Reads `btrfs`, `ext4,xfs`. @throws IMGBOOT_USAGE */
export function parseFilesystems(text: string): string[] {
  const names = text.split(',').filter((word) => word !== '');
  const bad = names.find((name) => !/^[A-Za-z0-9_]+$/.test(name));
  if (names.length > 0 && bad === undefined) return names;
  throw new ImgbootError('IMGBOOT_USAGE', `${JSON.stringify(bad ?? text)} is no file system`, {
    hint: 'name the types as mount does, such as --fs btrfs or --fs ext4,xfs',
  });
}
