import type { SpecResources } from './limits/limits.ts';
import type { SeccompFilter } from './seccomp.ts';
import type { IdMapping } from './user-namespace.ts';

/** The part of the OCI runtime specification's configuration that we write. @see runtime-spec config.md, config-linux.md */
export interface RuntimeSpec {
  ociVersion: string;
  root: { path: string; readonly: boolean };
  hostname: string;
  process: {
    terminal: boolean;
    user: { uid: number; gid: number; additionalGids: number[] };
    args: string[];
    env: string[];
    cwd: string;
    capabilities: Record<'bounding' | 'effective' | 'permitted', string[]>;
    noNewPrivileges: boolean;
    rlimits?: { type: string; soft: number; hard: number }[];
    oomScoreAdj?: number;
    consoleSize?: { width: number; height: number };
  };
  mounts: SpecMount[];
  annotations?: Record<string, string>;
  linux: {
    namespaces: { type: string; path?: string }[];
    uidMappings?: IdMapping[];
    gidMappings?: IdMapping[];
    maskedPaths: string[];
    readonlyPaths: string[];
    cgroupsPath: string;
    seccomp?: SeccompFilter;
    sysctl?: Record<string, string>;
    rootfsPropagation?: string;
    devices?: SpecDevice[];
    resources: SpecResources & { devices: DeviceRule[] };
  };
}

/** A device node in the container's /dev. */
export interface SpecDevice {
  path: string;
  type: 'b' | 'c';
  major: number;
  minor: number;
  fileMode: number;
  uid: number;
  gid: number;
}

/** What of a device's use is allowed. */
export interface DeviceRule {
  allow: boolean;
  type?: string;
  major?: number;
  minor?: number;
  access: string;
}

export interface SpecMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

/** Who a process runs as, in the container's own numbers. */
export interface ProcessUser {
  uid: number;
  gid: number;
  additionalGids: number[];
}

export interface SpecRequest {
  /** The root file system, a mounted directory. */
  rootfs: string;
  args: string[];
  env: string[];
  cwd: string;
  user: ProcessUser;
  hostname: string;
  /** `host`: the host's network; `none`: a namespace with nothing but loopback. */
  network: 'host' | 'none';
  /** Beside the kernel file systems. */
  mounts: SpecMount[];
  /** From the root of each cgroup hierarchy. */
  cgroup: string;
  /** The process has a terminal. */
  terminal: boolean;
  /** None when undefined. */
  seccomp: SeccompFilter | undefined;
}

/** What docker and podman leave to a container by default. */
export const defaultCapabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
  'CAP_AUDIT_WRITE',
  'CAP_NET_RAW',
];

/** Kernel interfaces that tell about the host, or change it. The lists of docker and podman. */
export const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
export const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** The kernel file systems of every container. */
export const kernelMounts: SpecMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
];

/** Character devices that every container may use; 5:2 and 136:* are its terminals. linux/Documentation/admin-guide/devices.txt */
const allowedDevices: readonly [major: number, minor: number | undefined][] = [
  [1, 3],
  [1, 5],
  [1, 7],
  [1, 8],
  [1, 9],
  [5, 0],
  [5, 1],
  [5, 2],
  [136, undefined],
];

/** The configuration of a container with docker's defaults. Pure. */
export function runtimeSpec(request: SpecRequest): RuntimeSpec {
  return {
    ociVersion: '1.0.2',
    root: { path: request.rootfs, readonly: false },
    hostname: request.hostname,
    process: {
      terminal: request.terminal,
      user: request.user,
      args: request.args,
      env: request.env,
      cwd: request.cwd,
      capabilities: {
        bounding: defaultCapabilities,
        effective: defaultCapabilities,
        permitted: defaultCapabilities,
      },
      noNewPrivileges: false,
    },
    mounts: [...kernelMounts.map((mount) => hostNetworkSys(mount, request.network)), ...request.mounts],
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        ...(request.network === 'none' ? [{ type: 'network' }] : []),
      ],
      maskedPaths,
      readonlyPaths,
      cgroupsPath: request.cgroup,
      ...(request.seccomp === undefined ? {} : { seccomp: request.seccomp }),
      resources: {
        devices: defaultDeviceRules(),
      },
    },
  };
}

/** What every container may do with devices. */
export function defaultDeviceRules(): DeviceRule[] {
  return [
    { allow: false, access: 'rwm' },
    // Nodes may be made (an image may have some), but not opened.
    { allow: true, type: 'c', access: 'm' },
    { allow: true, type: 'b', access: 'm' },
    ...allowedDevices.map(([major, minor]) => ({
      allow: true,
      type: 'c',
      major,
      ...(minor === undefined ? {} : { minor }),
      access: 'rwm',
    })),
  ];
}

/** sysfs cannot be mounted anew without a network namespace of one's own; the host's is shown read-only. */
function hostNetworkSys(mount: SpecMount, network: SpecRequest['network']): SpecMount {
  if (mount.destination !== '/sys' || network !== 'host') return mount;
  return {
    destination: '/sys',
    type: 'none',
    source: '/sys',
    options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'],
  };
}
