import { statSync } from 'node:fs';
import { ImgbootError, errorMessage } from '../../errors.ts';
import { parseSize } from '../../system/size.ts';

/** What a container may use of the host; what is undefined is not limited. */
export interface Limits {
  memoryBytes?: number | undefined;
  /** Memory and swap together; -1 for any amount of swap. */
  memorySwapBytes?: number | undefined;
  /** What it is pressed down to when the host runs short. */
  memoryReservationBytes?: number | undefined;
  /** Processors' worth of time. */
  cpus?: number | undefined;
  /** Relative weight under contention; 1024 is everyone's. */
  cpuShares?: number | undefined;
  /** Processors it may run on, such as `0-2,4`. */
  cpusetCpus?: string | undefined;
  /** Memory nodes it may use. */
  cpusetMems?: string | undefined;
  /** Processes and threads; -1 for any number. */
  pids?: number | undefined;
  /** 10 to 1000. */
  blkioWeight?: number | undefined;
  /** -1000 to 1000. */
  oomScoreAdj?: number | undefined;
  throttle: DeviceRate[];
}

const throttleKinds = ['readBps', 'writeBps', 'readIops', 'writeIops'] as const;
export type ThrottleKind = (typeof throttleKinds)[number];

/** How much per second may go from or to a block device. */
export interface DeviceRate {
  kind: ThrottleKind;
  device: string;
  major: number;
  minor: number;
  /** Bytes or operations per second. */
  rate: number;
}

/** What podman gives every container. */
export const DEFAULT_PIDS_LIMIT = 2048;

/** The scheduler's usual period, in microseconds. */
const CPU_PERIOD = 100_000;

/** @see runtime-spec config-linux.md, "Control groups" */
export interface SpecResources {
  memory?: { limit?: number; swap?: number; reservation?: number };
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string; mems?: string };
  pids?: { limit: number };
  blockIO?: {
    weight?: number;
    throttleReadBpsDevice?: SpecRate[];
    throttleWriteBpsDevice?: SpecRate[];
    throttleReadIOPSDevice?: SpecRate[];
    throttleWriteIOPSDevice?: SpecRate[];
  };
}

interface SpecRate {
  major: number;
  minor: number;
  rate: number;
}

/** The limits as the runtime takes them. Pure. */
export function limitResources(limits: Limits): SpecResources {
  const { memoryBytes, memorySwapBytes, memoryReservationBytes, cpus, cpuShares, cpusetCpus, cpusetMems } =
    limits;
  const rates = (kind: ThrottleKind): SpecRate[] | undefined => {
    const found = limits.throttle.filter((rate) => rate.kind === kind);
    return found.length === 0 ? undefined : found.map(({ major, minor, rate }) => ({ major, minor, rate }));
  };
  const memory = defined({
    limit: memoryBytes,
    // As docker has it: as much swap again as memory, where nothing else is said.
    swap: memorySwapBytes ?? (memoryBytes === undefined ? undefined : memoryBytes * 2),
    reservation: memoryReservationBytes,
  });
  const cpu = defined({
    shares: cpuShares,
    quota: cpus === undefined ? undefined : Math.round(cpus * CPU_PERIOD),
    period: cpus === undefined ? undefined : CPU_PERIOD,
    cpus: cpusetCpus,
    mems: cpusetMems,
  });
  const blockIO = defined({
    weight: limits.blkioWeight,
    throttleReadBpsDevice: rates('readBps'),
    throttleWriteBpsDevice: rates('writeBps'),
    throttleReadIOPSDevice: rates('readIops'),
    throttleWriteIOPSDevice: rates('writeIops'),
  });
  const pids = limits.pids === undefined || limits.pids < 0 ? undefined : { limit: limits.pids };
  return defined({ memory, cpu, pids, blockIO }) ?? {};
}

/** `--memory-swap`: a size, or -1. @throws IMGBOOT_USAGE */
export function parseSwap(text: string): number {
  return text === '-1' ? -1 : parseSize(text);
}

/** `--device-read-bps DEVICE:RATE` and its relatives. @throws IMGBOOT_USAGE */
export function parseDeviceRate(kind: ThrottleKind, text: string): DeviceRate {
  const colon = text.lastIndexOf(':');
  const [device, amount] = [text.slice(0, Math.max(colon, 0)), text.slice(colon + 1)];
  const isCount = kind === 'readIops' || kind === 'writeIops';
  if (device === '' || (isCount && !/^[1-9][0-9]*$/.test(amount)))
    throw new ImgbootError('IMGBOOT_USAGE', `not a device and a rate: ${JSON.stringify(text)}`, {
      hint: isCount ? 'such as /dev/sda:100' : 'such as /dev/sda:1m',
    });
  const rate = isCount ? Number(amount) : parseSize(amount);
  return { kind, device, ...blockDevice(device), rate };
}

function blockDevice(path: string): { major: number; minor: number } {
  try {
    const stats = statSync(path);
    if (stats.isBlockDevice()) return deviceNumbers(stats.rdev);
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_NO_SUCH_DEVICE', `${path}: ${errorMessage(cause)}`, { cause });
  }
  throw new ImgbootError('IMGBOOT_NO_SUCH_DEVICE', `${path} is no block device`);
}

/** sys/sysmacros.h: gnu_dev_major, gnu_dev_minor */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const device = BigInt(rdev);
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & ~0xffn)),
  };
}

/** The members that have a value; undefined where none has. */
function defined<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } | undefined {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return entries.length === 0
    ? undefined
    : (Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> });
}
