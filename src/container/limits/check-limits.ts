import os from 'node:os';
import { ImgbootError } from '../../errors.ts';
import { hasControllerFile, hasUnifiedCgroups } from './container-cgroup.ts';
import type { Limits } from './limits.ts';

/** What a limit needs of the host: a controller, and one of some files of it. */
interface Need {
  option: string;
  controller: string;
  files: readonly string[];
}

/**
 * The limits, with the defaults that depend on the host; refuses any that the host cannot hold a container to, before
 * there is a container. @throws IMGBOOT_CANNOT_LIMIT, IMGBOOT_USAGE
 */
export function checkLimits(limits: Limits): Limits {
  for (const need of needs(limits)) {
    if (need.files.some((file) => hasControllerFile(need.controller, file))) continue;
    throw new ImgbootError(
      'IMGBOOT_CANNOT_LIMIT',
      `${need.option} cannot be held to: this host's cgroups have no ${need.controller} controller with ${need.files.join(' or ')}`,
      { hint: 'enable it in the kernel, or leave out the option' },
    );
  }
  const { cpus, memoryBytes, memorySwapBytes } = limits;
  // All of a machine's processors, whatever this process is held to itself.
  const processors = os.cpus().length;
  if (cpus !== undefined && cpus > processors)
    throw new ImgbootError(
      'IMGBOOT_CANNOT_LIMIT',
      `--cpus ${cpus} is more than this machine has: ${processors} processors`,
      { hint: `give at most ${processors}, or leave the option out` },
    );
  if (memorySwapBytes !== undefined && memorySwapBytes >= 0) {
    if (memoryBytes === undefined || memorySwapBytes < memoryBytes)
      throw new ImgbootError(
        'IMGBOOT_USAGE',
        '--memory-swap is memory and swap together: not less than --memory',
        {
          hint: 'give both, such as --memory 512m --memory-swap 1g',
        },
      );
  }
  if (memoryBytes === undefined || memorySwapBytes !== undefined || !hasSwapAccounting()) return limits;
  // As docker has it.
  return { ...limits, memorySwapBytes: memoryBytes * 2 };
}

function hasSwapAccounting(): boolean {
  return hasControllerFile('memory', hasUnifiedCgroups() ? 'memory.swap.max' : 'memory.memsw.limit_in_bytes');
}

function needs(limits: Limits): Need[] {
  const v2 = hasUnifiedCgroups();
  const need = (value: unknown, option: string, controller: string, files: readonly string[]): Need[] =>
    value === undefined ? [] : [{ option, controller, files }];
  const io = v2 ? 'io' : 'blkio';
  const throttle = {
    readBps: ['--device-read-bps', 'blkio.throttle.read_bps_device'],
    writeBps: ['--device-write-bps', 'blkio.throttle.write_bps_device'],
    readIops: ['--device-read-iops', 'blkio.throttle.read_iops_device'],
    writeIops: ['--device-write-iops', 'blkio.throttle.write_iops_device'],
  } as const;
  return [
    ...need(limits.memoryBytes, '--memory', 'memory', [v2 ? 'memory.max' : 'memory.limit_in_bytes']),
    ...need(limits.memorySwapBytes, '--memory-swap', 'memory', [
      v2 ? 'memory.swap.max' : 'memory.memsw.limit_in_bytes',
    ]),
    ...need(limits.memoryReservationBytes, '--memory-reservation', 'memory', [
      v2 ? 'memory.low' : 'memory.soft_limit_in_bytes',
    ]),
    ...need(limits.cpus, '--cpus', 'cpu', [v2 ? 'cpu.max' : 'cpu.cfs_quota_us']),
    ...need(limits.cpuShares, '--cpu-shares', 'cpu', [v2 ? 'cpu.weight' : 'cpu.shares']),
    ...need(limits.cpusetCpus, '--cpuset-cpus', 'cpuset', ['cpuset.cpus']),
    ...need(limits.cpusetMems, '--cpuset-mems', 'cpuset', ['cpuset.mems']),
    ...need(limits.pids !== undefined && limits.pids >= 0 ? limits.pids : undefined, '--pids-limit', 'pids', [
      'pids.max',
    ]),
    ...need(
      limits.blkioWeight,
      '--blkio-weight',
      io,
      v2 ? ['io.weight', 'io.bfq.weight'] : ['blkio.weight', 'blkio.bfq.weight'],
    ),
    ...limits.throttle.flatMap(({ kind, rate }) =>
      need(rate, throttle[kind][0], io, [v2 ? 'io.max' : throttle[kind][1]]),
    ),
  ];
}
