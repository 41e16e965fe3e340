import { readFileSync } from 'node:fs';
import { Flags } from '@oclif/core';
import type { CreateRequest } from '../container/create.ts';
import { parseCapability } from '../container/capabilities.ts';
import { parseDevice } from '../container/limits/device.ts';
import { DEFAULT_PIDS_LIMIT, parseDeviceRate, parseSwap, type Limits } from '../container/limits/limits.ts';
import { parseMount, parseTmpfs, parseVolume } from '../container/mount.ts';
import { parsePort } from '../container/network/port.ts';
import { DEFAULT_NETWORK } from '../container/network/types.ts';
import { parseUlimit } from '../container/limits/ulimit.ts';
import { ImgbootError, errorMessage } from '../errors.ts';
import { parseSize } from '../system/size.ts';
import { readLabels } from './build-options.ts';

const many = { multiple: true, multipleNonGreedy: true } as const;

/** What a new container may be given. */
export const containerFlags = {
  interactive: Flags.boolean({ char: 'i', summary: 'pass standard input on' }),
  tty: Flags.boolean({ char: 't', summary: 'give it a terminal' }),
  rm: Flags.boolean({ summary: 'remove it when it ends' }),
  name: Flags.string({ summary: 'its name; two words by default' }),
  env: Flags.string({
    char: 'e',
    summary: 'a variable; without VALUE, ours',
    helpValue: 'NAME[=VALUE]',
    ...many,
  }),
  'env-file': Flags.string({ summary: 'a file of NAME=VALUE lines', helpValue: 'FILE', ...many }),
  workdir: Flags.string({ char: 'w', summary: 'the directory that its command begins in' }),
  user: Flags.string({ char: 'u', summary: 'who its command runs as', helpValue: 'USER[:GROUP]' }),
  'group-add': Flags.string({ summary: 'a further group of its command', helpValue: 'GROUP', ...many }),
  entrypoint: Flags.string({
    summary: "the program, in place of the image's; a JSON array may have arguments",
  }),
  hostname: Flags.string({ char: 'h', summary: "its host name; the ID's first digits by default" }),
  label: Flags.string({ char: 'l', summary: 'a label', helpValue: 'NAME=VALUE', ...many }),
  annotation: Flags.string({ summary: 'an annotation for the runtime', helpValue: 'NAME=VALUE', ...many }),
  init: Flags.boolean({ summary: 'a small init is its first process, and reaps orphans' }),
  boot: Flags.boolean({ summary: "the image's own init is its first process, systemd included" }),
  'top-layer': Flags.directory({
    summary: "a directory with a machine's own files, applied over the image as at boot",
    exists: true,
  }),
  'stop-signal': Flags.string({ summary: "what asks it to end; the image's, or TERM", helpValue: 'SIGNAL' }),
  'stop-timeout': Flags.integer({ summary: 'seconds from that to KILL', default: 10, min: 0 }),
  restart: Flags.string({ hidden: true }),

  volume: Flags.string({
    char: 'v',
    summary: 'a directory, file or named volume that it sees',
    helpValue: '[SOURCE:]TARGET[:ro]',
    helpGroup: 'FILES',
    ...many,
  }),
  mount: Flags.string({
    summary: 'the same in words',
    helpValue: 'type=bind,source=..,target=..',
    helpGroup: 'FILES',
    ...many,
  }),
  tmpfs: Flags.string({
    summary: 'an empty directory in memory',
    helpValue: 'TARGET[:size=64m]',
    helpGroup: 'FILES',
    ...many,
  }),
  'read-only': Flags.boolean({ summary: 'its root file system cannot be written to', helpGroup: 'FILES' }),
  'shm-size': Flags.string({ summary: 'size of /dev/shm', default: '64m', helpGroup: 'FILES' }),
  device: Flags.string({
    summary: 'a device that it may use',
    helpValue: 'SOURCE[:TARGET][:rwm]',
    helpGroup: 'FILES',
    ...many,
  }),

  privileged: Flags.boolean({
    summary: 'all capabilities and devices, nothing hidden',
    helpGroup: 'SECURITY',
  }),
  'cap-add': Flags.string({ summary: 'a capability more, or ALL', helpGroup: 'SECURITY', ...many }),
  'cap-drop': Flags.string({ summary: 'a capability less, or ALL', helpGroup: 'SECURITY', ...many }),
  'security-opt': Flags.string({
    summary: 'no-new-privileges, or seccomp=unconfined or a profile',
    helpValue: 'no-new-privileges|seccomp=FILE',
    helpGroup: 'SECURITY',
    ...many,
  }),
  userns: Flags.string({
    summary: 'its user IDs: host, auto, or map:CONTAINER:HOST:SIZE',
    default: 'host',
    helpGroup: 'SECURITY',
  }),
  sysctl: Flags.string({
    summary: 'a kernel parameter of its namespaces',
    helpValue: 'NAME=VALUE',
    helpGroup: 'SECURITY',
    ...many,
  }),

  network: Flags.string({
    summary: 'none, host, bridge, or the name of a network',
    aliases: ['net'],
    helpGroup: 'NETWORK',
    ...many,
  }),
  'network-alias': Flags.string({ summary: 'a further name on its networks', helpGroup: 'NETWORK', ...many }),
  publish: Flags.string({
    char: 'p',
    summary: "a port of the host's that leads to one of its",
    helpValue: '[[ADDRESS:]HOST:]PORT[/udp]',
    helpGroup: 'NETWORK',
    ...many,
  }),
  dns: Flags.string({ summary: 'a name server', helpGroup: 'NETWORK', ...many }),
  'dns-search': Flags.string({ summary: 'a search domain', helpGroup: 'NETWORK', ...many }),
  'dns-option': Flags.string({ summary: 'an option of resolv.conf', helpGroup: 'NETWORK', ...many }),
  'add-host': Flags.string({
    summary: 'a line of /etc/hosts',
    helpValue: 'NAME:ADDRESS',
    helpGroup: 'NETWORK',
    ...many,
  }),

  memory: Flags.string({ char: 'm', summary: 'memory, such as 512m', helpGroup: 'LIMITS' }),
  'memory-swap': Flags.string({ summary: 'memory and swap together; -1 for any', helpGroup: 'LIMITS' }),
  'memory-reservation': Flags.string({
    summary: 'memory to keep when the host runs short',
    helpGroup: 'LIMITS',
  }),
  cpus: Flags.string({ summary: "processors' worth of time, such as 0.5", helpGroup: 'LIMITS' }),
  'cpu-shares': Flags.integer({
    char: 'c',
    summary: 'weight under contention (1024)',
    min: 2,
    helpGroup: 'LIMITS',
  }),
  'cpuset-cpus': Flags.string({ summary: 'processors that it may use, such as 0-2,4', helpGroup: 'LIMITS' }),
  'cpuset-mems': Flags.string({ summary: 'memory nodes that it may use', helpGroup: 'LIMITS' }),
  'pids-limit': Flags.integer({
    summary: 'processes and threads; -1 for any',
    default: DEFAULT_PIDS_LIMIT,
    min: -1,
    helpGroup: 'LIMITS',
  }),
  ulimit: Flags.string({
    summary: "a limit of its processes'",
    helpValue: 'NAME=SOFT[:HARD]',
    helpGroup: 'LIMITS',
    ...many,
  }),
  'device-read-bps': Flags.string({
    summary: 'bytes a second from a device',
    helpValue: 'DEVICE:RATE',
    helpGroup: 'LIMITS',
    ...many,
  }),
  'device-write-bps': Flags.string({
    summary: 'bytes a second to a device',
    helpValue: 'DEVICE:RATE',
    helpGroup: 'LIMITS',
    ...many,
  }),
  'device-read-iops': Flags.string({
    summary: 'reads a second',
    helpValue: 'DEVICE:COUNT',
    helpGroup: 'LIMITS',
    ...many,
  }),
  'device-write-iops': Flags.string({
    summary: 'writes a second',
    helpValue: 'DEVICE:COUNT',
    helpGroup: 'LIMITS',
    ...many,
  }),
  'blkio-weight': Flags.integer({
    summary: 'weight of its input and output',
    min: 10,
    max: 1000,
    helpGroup: 'LIMITS',
  }),
  'oom-score-adj': Flags.integer({
    summary: 'how soon the kernel kills it',
    min: -1000,
    max: 1000,
    helpGroup: 'LIMITS',
  }),
};

/** The values of {@link containerFlags}, as oclif reads them. */
export interface ContainerFlagValues {
  [name: string]: unknown;
  interactive: boolean;
  tty: boolean;
  rm: boolean;
  detach?: boolean;
  name?: string | undefined;
  env?: string[] | undefined;
  'env-file'?: string[] | undefined;
  workdir?: string | undefined;
  user?: string | undefined;
  'group-add'?: string[] | undefined;
  entrypoint?: string | undefined;
  hostname?: string | undefined;
  label?: string[] | undefined;
  annotation?: string[] | undefined;
  init: boolean;
  boot: boolean;
  'top-layer'?: string | undefined;
  'stop-signal'?: string | undefined;
  'stop-timeout': number;
  restart?: string | undefined;
  volume?: string[] | undefined;
  mount?: string[] | undefined;
  tmpfs?: string[] | undefined;
  'read-only': boolean;
  'shm-size': string;
  device?: string[] | undefined;
  privileged: boolean;
  'cap-add'?: string[] | undefined;
  'cap-drop'?: string[] | undefined;
  'security-opt'?: string[] | undefined;
  userns: string;
  sysctl?: string[] | undefined;
  network?: string[] | undefined;
  'network-alias'?: string[] | undefined;
  publish?: string[] | undefined;
  dns?: string[] | undefined;
  'dns-search'?: string[] | undefined;
  'dns-option'?: string[] | undefined;
  'add-host'?: string[] | undefined;
  memory?: string | undefined;
  'memory-swap'?: string | undefined;
  'memory-reservation'?: string | undefined;
  cpus?: string | undefined;
  'cpu-shares'?: number | undefined;
  'cpuset-cpus'?: string | undefined;
  'cpuset-mems'?: string | undefined;
  'pids-limit': number;
  ulimit?: string[] | undefined;
  'device-read-bps'?: string[] | undefined;
  'device-write-bps'?: string[] | undefined;
  'device-read-iops'?: string[] | undefined;
  'device-write-iops'?: string[] | undefined;
  'blkio-weight'?: number | undefined;
  'oom-score-adj'?: number | undefined;
}

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
