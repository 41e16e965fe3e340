import type { Machine } from './machine.ts';

/** Something to boot, in no loader's words. */
export interface BootEntry {
  /** `imgboot-desktop-3`, `imgboot-desktop-3-fresh`: file names and identifiers are made of it. */
  id: string;
  title: string;
  /** A version itself, or one of the choices of the default version, which come after all versions. */
  kind: 'version' | 'choice';
  /** Sorts the entries of the same kind: the greatest first. */
  order: string;
  /** Absolute paths on the loader's file system. */
  kernel: string;
  initrd: string;
  /** The kernel command line. */
  options: string;
  /** How many boots it has to show itself good, where the loader can count; undefined for one that is good. */
  tries: number | undefined;
}

/** Files that the loader needs on its own file system. */
export interface BootFiles {
  /** `desktop-3`: a directory of `/imgboot`. */
  directory: string;
  /** Where they are copied from. */
  kernel: string;
  initrd: string;
}

/** All that a loader is to know: its files are made equal to it. Plain data. */
export interface LoaderPlan {
  machine: Machine;
  /** Of the version that is booted by default first. Empty: every entry of ours goes. */
  entries: BootEntry[];
  /** What is booted by default; its id is one of `entries`. Undefined only where there are none. */
  defaultId: string | undefined;
  /** What the loader goes on to when the default has used up its tries or cannot be loaded. */
  fallbackId: string | undefined;
  /**
   * Whether the loader counts the boots of the default, which has still to show itself good, and from where: on from
   * where it is, or anew.
   */
  counting: 'no' | 'continue' | 'restart';
  /** Kernels and initramfs images to have in `/imgboot`; none where the loader reads the store itself. */
  files: BootFiles[];
}

/** Where kernels lie on a file system that is the loader's. */
export const BOOT_DIRECTORY = '/imgboot';
