import { grantedCapabilities } from './capabilities.ts';
import { cgroupOf } from './limits/container-cgroup.ts';
import { deviceNodes, deviceRules } from './limits/device.ts';
import { limitResources } from './limits/limits.ts';
import type { ContainerRecord } from './record.ts';
import { defaultSeccompFilter, parseSeccompProfile, type SeccompFilter } from './seccomp.ts';
import {
  kernelMounts,
  maskedPaths,
  readonlyPaths,
  type ProcessUser,
  type RuntimeSpec,
  type SpecMount,
} from './spec.ts';

/** What of a start is not in the record. */
export interface StartContext {
  rootfs: string;
  user: ProcessUser;
  /** `NAME=value`, whole. */
  env: string[];
  /** Beside the kernel's, their destinations without symlinks. */
  mounts: SpecMount[];
  /** Of the terminal that it is shown on. */
  consoleSize: { width: number; height: number } | undefined;
}

/** The place of the small init in a container with one. */
export const INIT_TARGET = '/run/.imgboot-init';

/** The configuration of a container for the runtime. */
export function containerSpec(record: ContainerRecord, context: StartContext): RuntimeSpec {
  const { security, network, limits } = record;
  const capabilities = grantedCapabilities({
    privileged: security.privileged,
    add: security.capAdd,
    drop: security.capDrop,
  });
  const mapped = security.userNamespace.kind === 'mapped' ? security.userNamespace : undefined;
  const seccomp = seccompOf(record, capabilities);
  const nodes = deviceNodes(record);
  return {
    ociVersion: '1.0.2',
    root: { path: context.rootfs, readonly: security.readOnly },
    hostname: record.hostname,
    process: {
      terminal: record.terminal,
      user: context.user,
      args: security.init ? [INIT_TARGET, '--', ...record.args] : record.args,
      env: context.env,
      cwd: record.workingDir,
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: security.noNewPrivileges,
      ...(record.ulimits.length === 0
        ? {}
        : {
            rlimits: record.ulimits.map(({ name, soft, hard }) => ({
              type: `RLIMIT_${name.toUpperCase()}`,
              soft,
              hard,
            })),
          }),
      ...(limits.oomScoreAdj === undefined ? {} : { oomScoreAdj: limits.oomScoreAdj }),
      ...(context.consoleSize === undefined ? {} : { consoleSize: context.consoleSize }),
    },
    mounts: [...kernelMountsOf(record), ...context.mounts],
    annotations: record.annotations,
    linux: {
      namespaces: [
        ...['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
        ...(network.names.includes('host') ? [] : [{ type: 'network' }]),
        ...(mapped === undefined ? [] : [{ type: 'user' }]),
      ],
      ...(mapped === undefined ? {} : { uidMappings: mapped.uids, gidMappings: mapped.gids }),
      maskedPaths: security.privileged ? [] : maskedPaths,
      readonlyPaths: security.privileged ? [] : readonlyPaths,
      cgroupsPath: cgroupOf(record.id),
      ...(seccomp === undefined ? {} : { seccomp }),
      ...(Object.keys(record.sysctls).length === 0 ? {} : { sysctl: record.sysctls }),
      // What is unmounted on the host must not stay busy in here.
      rootfsPropagation: 'rslave',
      devices: nodes,
      resources: { ...limitResources(limits), devices: deviceRules(record, nodes) },
    },
  };
}

function seccompOf(
  { security }: ContainerRecord,
  capabilities: readonly string[],
): SeccompFilter | undefined {
  switch (security.seccomp.kind) {
    case 'unconfined':
      return undefined;
    case 'profile':
      return parseSeccompProfile(security.seccomp, capabilities);
    case 'default':
      return security.privileged ? undefined : defaultSeccompFilter(capabilities);
  }
}

/** The kernel's file systems, as open as the container is to be. */
function kernelMountsOf(record: ContainerRecord): SpecMount[] {
  const { security, network } = record;
  const writable = security.privileged || record.boot;
  const hostSys = network.names.includes('host');
  const mounts = kernelMounts.map((mount): SpecMount => {
    if (mount.destination === '/dev/shm') {
      const options = mount.options.map((word) =>
        word.startsWith('size=') ? `size=${record.shmBytes}` : word,
      );
      return { ...mount, options };
    }
    if (mount.destination !== '/sys') return mount;
    const options = ['nosuid', 'noexec', 'nodev', security.privileged ? 'rw' : 'ro'];
    // sysfs cannot be mounted anew without a network namespace of one's own.
    return hostSys
      ? { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', ...options] }
      : { ...mount, options };
  });
  const cgroup = {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'relatime', writable ? 'rw' : 'ro'],
  };
  return [...mounts, cgroup];
}
