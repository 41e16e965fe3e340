import { join } from 'node:path';

/** Where a container keeps its things: `containers/<id>` of its store. */
export class ContainerPaths {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** What it was made as. @see ContainerRecord */
  get record(): string {
    return join(this.root, 'container.json');
  }
  /** The ChainID of the image below the writable layer: read by the store, which keeps those layers. */
  get chain(): string {
    return join(this.root, 'chain');
  }
  /** Held for a moment by who starts, stops, cleans up or removes it. */
  get lock(): string {
    return join(this.root, 'lock');
  }
  /** Held by the command that shows the container, if any, for as long as it runs: it cleans up. */
  get attended(): string {
    return join(this.root, 'attended');
  }
  /** The root file system: a mount point (overlay), or the writable subvolume itself (btrfs). */
  get rootfs(): string {
    return join(this.root, 'rootfs');
  }
  /** What the overlay driver mounts, beside the image's layers. */
  get layer(): string {
    return join(this.root, 'layer');
  }
  /** The writable layer of the overlay driver. */
  get upper(): string {
    return join(this.layer, 'upper');
  }
  get work(): string {
    return join(this.layer, 'work');
  }
  /** Empty files and directories below all layers, for what is mounted where the image has nothing (overlay). */
  get stubs(): string {
    return join(this.layer, 'stubs');
  }
  /** The list of the places that were made for mounts. @see MountPlace */
  get mountPoints(): string {
    return join(this.root, 'mount-points.json');
  }
  /** The files that are mounted over the image's: hosts, resolv.conf, hostname. */
  get files(): string {
    return join(this.root, 'files');
  }
  get hosts(): string {
    return join(this.files, 'hosts');
  }
  get resolvConf(): string {
    return join(this.files, 'resolv.conf');
  }
  get hostnameFile(): string {
    return join(this.files, 'hostname');
  }
  get log(): string {
    return join(this.root, 'log');
  }
  /** The process of the last start, written once that had succeeded. @see StartRecord */
  get start(): string {
    return join(this.root, 'start.json');
  }
  /** The exit status of the last start, written by conmon. */
  get exit(): string {
    return join(this.root, 'exit');
  }
  /** There when the kernel killed a process of the last start for want of memory; made by conmon. */
  get oom(): string {
    return join(this.root, 'oom');
  }
  /** All that lives as long as a start: bundle, the runtime's state, sockets. There until it is cleaned up. */
  get run(): string {
    return join(this.root, 'run');
  }
  get spec(): string {
    return join(this.run, 'config.json');
  }
  get runtimeState(): string {
    return join(this.run, 'state');
  }
  get pidFile(): string {
    return join(this.run, 'pid');
  }
  get monitorPidFile(): string {
    return join(this.run, 'conmon.pid');
  }
  get attachSocket(): string {
    return join(this.run, 'attach');
  }
  get control(): string {
    return join(this.run, 'ctl');
  }
}
