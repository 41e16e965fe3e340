/** The boot loaders that deployments are known to. */
export const loaderNames = ['systemd-boot', 'grub', 'refind', 'extlinux'] as const;
export type LoaderName = (typeof loaderNames)[number];

/** A file system of its own that a boot loader reads. */
export interface BootFilesystem {
  uuid: string;
  fstype: string;
}

/** Where a machine has its store and its boot loader, as deployments.json keeps it. @see docs/architecture.md 4.7 */
export interface Machine {
  /** Kernel command line words that mount the file system with the store: `root=UUID=...`, `rootfstype=...`. */
  root: string[];
  /** The store's path on that file system, as those words mount it. */
  store: string;
  /** The same from the file system's own top, subvolumes included. */
  storePath: string;
  loader: LoaderName;
  /** The file system that the loader reads kernels and configuration from; null: the store's own. */
  boot: BootFilesystem | null;
  /** The ESP, from which systemd-boot reads loader.conf, where `boot` is an XBOOTLDR partition. */
  esp?: BootFilesystem;
  /**
   * The loader's configuration on it, from its own top: `/loader` of systemd-boot, `/grub` with grub.cfg,
   * `/EFI/refind`, `/extlinux`.
   */
  directory: string;
  /** `system`: the configuration is somebody else's, and we add to it; `imgboot`: nobody else writes there. */
  owner: 'imgboot' | 'system';
}
