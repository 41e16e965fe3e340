import { Flags } from './oclif.ts';
import { DEFAULT_PIDS_LIMIT } from '../container/limits/limits.ts';

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
