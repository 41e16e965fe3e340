import { readFileSync } from 'node:fs';
import type { CreateRequest } from '../container/create.ts';
import { parseCapability } from '../container/capabilities.ts';
import { parseDevice } from '../container/limits/device.ts';
import { parseDeviceRate, parseSwap, type Limits } from '../container/limits/limits.ts';
import { parseMount, parseTmpfs, parseVolume } from '../container/mount.ts';
import { parsePort } from '../container/network/port.ts';
import { DEFAULT_NETWORK } from '../container/network/types.ts';
import { parseUlimit } from '../container/limits/ulimit.ts';
import { ImgbootError, errorMessage } from '../errors.ts';
import { parseSize } from '../system/size.ts';
import { readLabels } from './build-options.ts';
import type { ContainerFlagValues } from './container-flags.ts';

/** What the flags ask for. @throws IMGBOOT_USAGE */
export function readContainerFlags(flags: ContainerFlagValues, command: string[]): CreateRequest {
  if (flags.restart !== undefined && flags.restart !== 'no')
    throw new ImgbootError(
      'IMGBOOT_USAGE',
      'containers are not restarted by themselves: imgboot has no daemon',
      {
        hint: "let the system's own service manager start it: ExecStart=imgboot run --rm ..",
      },
    );
  return {
    name: flags.name,
    entrypoint: flags.entrypoint === undefined ? undefined : readEntrypoint(flags.entrypoint),
    command,
    env: [...(flags['env-file'] ?? []).flatMap(readEnvFile), ...readEnvironment(flags.env ?? [])],
    workingDir: flags.workdir,
    user: flags.user,
    groups: flags['group-add'] ?? [],
    hostname: flags.hostname,
    terminal: flags.tty || flags.boot,
    stdin: flags.interactive,
    stdinOnce: flags.detach !== true,
    labels: readLabels(flags.label ?? []),
    annotations: readLabels(flags.annotation ?? []),
    stopSignal: flags['stop-signal'],
    stopTimeoutSeconds: flags['stop-timeout'],
    autoRemove: flags.rm,
    boot: flags.boot,
    topLayer: flags['top-layer'],
    security: {
      privileged: flags.privileged,
      readOnly: flags['read-only'],
      init: flags.init,
      capAdd: (flags['cap-add'] ?? []).flatMap((text) => text.split(',')).map(parseCapability),
      capDrop: (flags['cap-drop'] ?? []).flatMap((text) => text.split(',')).map(parseCapability),
      ...readSecurity(flags['security-opt'] ?? []),
      userNamespace: flags.userns,
    },
    network: {
      names: readNetworks(flags.network),
      aliases: flags['network-alias'] ?? [],
      ports: (flags.publish ?? []).flatMap(parsePort),
      dns: flags.dns ?? [],
      dnsSearch: flags['dns-search'] ?? [],
      dnsOptions: flags['dns-option'] ?? [],
      extraHosts: readExtraHosts(flags['add-host'] ?? []),
    },
    mounts: [
      ...(flags.volume ?? []).map(parseVolume),
      ...(flags.mount ?? []).map(parseMount),
      ...(flags.tmpfs ?? []).map(parseTmpfs),
    ],
    shmBytes: parseSize(flags['shm-size']),
    devices: (flags.device ?? []).flatMap(parseDevice),
    ulimits: (flags.ulimit ?? []).map(parseUlimit),
    sysctls: readLabels(flags.sysctl ?? []),
    limits: readLimits(flags),
  };
}

function readLimits(flags: ContainerFlagValues): Limits {
  const size = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : parseSize(text);
  const rates = (['read-bps', 'write-bps', 'read-iops', 'write-iops'] as const).flatMap((name) =>
    (flags[`device-${name}`] ?? []).map((text) => {
      const kind = (
        {
          'read-bps': 'readBps',
          'write-bps': 'writeBps',
          'read-iops': 'readIops',
          'write-iops': 'writeIops',
        } as const
      )[name];
      return parseDeviceRate(kind, text);
    }),
  );
  return {
    memoryBytes: size(flags.memory),
    memorySwapBytes: flags['memory-swap'] === undefined ? undefined : parseSwap(flags['memory-swap']),
    memoryReservationBytes: size(flags['memory-reservation']),
    cpus: flags.cpus === undefined ? undefined : readCpus(flags.cpus),
    cpuShares: flags['cpu-shares'],
    cpusetCpus: flags['cpuset-cpus'],
    cpusetMems: flags['cpuset-mems'],
    pids: flags['pids-limit'],
    blkioWeight: flags['blkio-weight'],
    oomScoreAdj: flags['oom-score-adj'],
    throttle: rates,
  };
}

/** The scheduler's shortest share is a hundredth of a processor. */
const LEAST_CPUS = 0.01;

function readCpus(text: string): number {
  const cpus = Number(text);
  if (/^[0-9]*\.?[0-9]+$/.test(text) && cpus >= LEAST_CPUS) return cpus;
  throw new ImgbootError('IMGBOOT_USAGE', `not a number of processors: ${JSON.stringify(text)}`, {
    hint: `at least ${LEAST_CPUS}, such as 0.5 or 2`,
  });
}

/** `NAME=VALUE`; a NAME alone takes its value from our environment, and is left out when that has none. @throws IMGBOOT_USAGE */
export function readEnvironment(texts: readonly string[]): string[] {
  return texts.flatMap((text) => {
    if (text.startsWith('=') || text === '')
      throw new ImgbootError('IMGBOOT_USAGE', `not a variable: ${JSON.stringify(text)}`);
    if (text.includes('=')) return [text];
    const value = process.env[text];
    return value === undefined ? [] : [`${text}=${value}`];
  });
}

function readEnvFile(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_USAGE', `--env-file ${path}: ${errorMessage(cause)}`, { cause });
  }
  const lines = text.split('\n').map((line) => line.trimStart().replace(/\r$/, ''));
  return readEnvironment(lines.filter((line) => line !== '' && !line.startsWith('#')));
}

/** A program, or a JSON array of a program and arguments; the empty text is none. */
function readEntrypoint(text: string): string[] {
  if (text === '') return [];
  if (!text.startsWith('[')) return [text];
  try {
    const words = JSON.parse(text) as unknown;
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words;
  } catch {
    // Said below.
  }
  throw new ImgbootError('IMGBOOT_USAGE', `not a program, nor a JSON array of words: --entrypoint ${text}`);
}

function readSecurity(
  texts: readonly string[],
): Pick<CreateRequest['security'], 'noNewPrivileges' | 'seccomp'> {
  let noNewPrivileges = false;
  let seccomp: CreateRequest['security']['seccomp'] = { kind: 'default' };
  for (const text of texts) {
    const [name, value = ''] = text.split(/[=:](.*)/s, 2) as [string, string?];
    if (name === 'no-new-privileges' && ['', 'true', 'false'].includes(value))
      noNewPrivileges = value !== 'false';
    else if (name === 'seccomp' && value === 'unconfined') seccomp = { kind: 'unconfined' };
    else if (name === 'seccomp' && value !== '')
      seccomp = { kind: 'profile', path: value, text: readProfile(value) };
    // Hosts with SELinux or AppArmor only, and then the runtime's own default is meant.
    else if (text !== 'label=disable' && text !== 'apparmor=unconfined')
      throw new ImgbootError('IMGBOOT_USAGE', `not a security option: ${JSON.stringify(text)}`, {
        hint: 'no-new-privileges, seccomp=unconfined or seccomp=FILE may be given',
      });
  }
  return { noNewPrivileges, seccomp };
}

function readProfile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_USAGE', `--security-opt seccomp=${path}: ${errorMessage(cause)}`, {
      cause,
    });
  }
}

function readNetworks(given: readonly string[] | undefined): string[] {
  const names = (given ?? [DEFAULT_NETWORK]).flatMap((text) => text.split(','));
  const alone = names.find((name) => name === 'none' || name === 'host');
  if (alone === undefined || names.length === 1) return names;
  throw new ImgbootError('IMGBOOT_USAGE', `--network ${alone} goes with no other network`);
}

function readExtraHosts(texts: readonly string[]): string[] {
  for (const text of texts) {
    if (!/^[^\s:]+:[0-9a-fA-F:.]+$/.test(text))
      throw new ImgbootError('IMGBOOT_USAGE', `not a name and an address: ${JSON.stringify(text)}`, {
        hint: '--add-host NAME:ADDRESS',
      });
  }
  return [...texts];
}
