/** A file system, or what else a device holds. */
export interface Content {
  /** As blkid has it; undefined: nothing that is known. */
  type: string | undefined;
  uuid: string | undefined;
  label: string | undefined;
  /** Of a btrfs. */
  subvolumes: { path: string; id: number | undefined }[];
  /** Directories that something is bound from. */
  directories: string[];
  /** Directories of this machine that it has, too, from its top. */
  copies: { from: string; to: string }[];
  /** The store lies on it. */
  holdsStore: boolean;
}

/** A disk of the machine that the gate boots, which answers to what one of this machine's answers to. */
export interface Part {
  content: Content;
  partUuid: string | undefined;
  partLabel: string | undefined;
  /** Something looks for it by one of the two. */
  isPartition: boolean;
  /** The content lies in a LUKS volume. */
  luks: { name: string; uuid: string; key: LuksKey; host: string } | undefined;
  /** Paths in /dev that lead to it, beside those that udev makes. */
  links: string[];
  /** The device of this machine that has such a content; undefined where that is not to be seen. */
  host: string | undefined;
}

/** What opens a LUKS volume: bytes of a file of the root file system, or something that the gate makes up. */
export type LuksKey = { file: string; offset: number; size: number | undefined } | 'made-up';

/** What a boot would miss: nothing of this machine answers to it. */
export interface Missing {
  /** `/etc/fstab` */
  file: string;
  /** As it is written there. */
  source: string;
  /** Where it would be mounted, or its name in /dev/mapper. */
  target: string;
}

/** A unit that may fail, and why. */
export interface PassedOver {
  unit: string;
  why: string;
}

/** The disks that a boot is to find. */
export interface DiskPlan {
  /** The one with the store first. */
  parts: Part[];
  missing: Missing[];
  /** What the boot says nothing about, in words. */
  untested: string[];
  passedOver: PassedOver[];
}
