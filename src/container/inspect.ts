import type { Store } from '../store/store.ts';
import { monitorProcess } from './conmon.ts';
import { cgroupOf } from './limits/container-cgroup.ts';
import type { DeviceRate, ThrottleKind } from './limits/limits.ts';
import { attachedNetworks } from './network/attach.ts';
import type { Container } from './record.ts';
import { signalName } from './signals.ts';
import { containerState } from './state.ts';
import { volumeData } from './volume/volume.ts';

const NANO = 1e9;
const CPU_PERIOD = 100_000;

/** All that is known of a container, with podman's names where it has them. */
export function inspectContainer(store: Store, container: Container): object {
  const { record, paths } = container;
  const state = containerState(container);
  const attached = state.pid === 0 ? undefined : attachedNetworks(store.paths, record.id);
  return {
    Id: record.id,
    Created: record.created,
    Path: record.args[0] ?? '',
    Args: record.args.slice(1),
    State: {
      Status: state.status,
      Running: state.status === 'running' || state.status === 'paused',
      Paused: state.status === 'paused',
      OOMKilled: state.oomKilled,
      Dead: false,
      Pid: state.pid,
      ConmonPid: monitorProcess(paths)?.pid ?? 0,
      ExitCode: state.exitCode,
      StartedAt: state.startedAt,
      FinishedAt: state.finishedAt,
      CgroupPath: cgroupOf(record.id),
    },
    Image: record.image.id,
    ImageName: record.image.reference,
    Name: record.name,
    Driver: record.driver,
    LogPath: paths.log,
    HostnamePath: paths.hostnameFile,
    HostsPath: paths.hosts,
    ResolvConfPath: paths.resolvConf,
    OCIConfigPath: paths.spec,
    Mounts: mountsOf(store, container),
    Config: {
      Hostname: record.hostname,
      User: record.user,
      Tty: record.terminal,
      OpenStdin: record.stdin,
      StdinOnce: record.stdinOnce,
      Env: record.env,
      Cmd: record.command,
      Entrypoint: record.entrypoint,
      Image: record.image.reference ?? record.image.id,
      WorkingDir: record.workingDir,
      Labels: record.labels,
      Annotations: record.annotations,
      StopSignal: signalName(record.stopSignal),
      StopTimeout: record.stopTimeoutSeconds,
      TopLayer: record.topLayer,
      Boot: record.boot,
    },
    HostConfig: hostConfig(container),
    NetworkSettings: {
      Ports: attached?.ports ?? record.network.ports,
      Networks: Object.fromEntries(
        (attached?.interfaces ?? []).map(({ network, interface: name, macAddress, address, gateway }) => [
          network,
          {
            IPAddress: address.split('/')[0],
            IPPrefixLen: Number(address.split('/')[1]),
            Gateway: gateway,
            MacAddress: macAddress,
            Interface: name,
          },
        ]),
      ),
    },
  };
}

function hostConfig({ record }: Container): object {
  const { limits, security, network } = record;
  const rates = (kind: ThrottleKind): object[] =>
    limits.throttle
      .filter((rate: DeviceRate) => rate.kind === kind)
      .map(({ device, rate }) => ({ Path: device, Rate: rate }));
  return {
    AutoRemove: record.autoRemove,
    NetworkMode: network.names.join(','),
    PortBindings: network.ports,
    Dns: network.dns,
    DnsSearch: network.dnsSearch,
    DnsOptions: network.dnsOptions,
    ExtraHosts: network.extraHosts,
    Privileged: security.privileged,
    ReadonlyRootfs: security.readOnly,
    Init: security.init,
    CapAdd: security.capAdd,
    CapDrop: security.capDrop,
    SecurityOpt: [
      ...(security.noNewPrivileges ? ['no-new-privileges'] : []),
      ...(security.seccomp.kind === 'default' ? [] : [`seccomp=${seccompName(security.seccomp)}`]),
    ],
    IDMappings: security.userNamespace.kind === 'mapped' ? security.userNamespace : null,
    ShmSize: record.shmBytes,
    Devices: record.devices.map(({ source, target, access }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: access,
    })),
    Ulimits: record.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
    Memory: limits.memoryBytes ?? 0,
    MemorySwap: limits.memorySwapBytes ?? 0,
    MemoryReservation: limits.memoryReservationBytes ?? 0,
    NanoCpus: Math.round((limits.cpus ?? 0) * NANO),
    CpuPeriod: limits.cpus === undefined ? 0 : CPU_PERIOD,
    CpuQuota: Math.round((limits.cpus ?? 0) * CPU_PERIOD),
    CpuShares: limits.cpuShares ?? 0,
    CpusetCpus: limits.cpusetCpus ?? '',
    CpusetMems: limits.cpusetMems ?? '',
    PidsLimit: limits.pids ?? 0,
    OomScoreAdj: limits.oomScoreAdj ?? 0,
    BlkioWeight: limits.blkioWeight ?? 0,
    BlkioDeviceReadBps: rates('readBps'),
    BlkioDeviceWriteBps: rates('writeBps'),
    BlkioDeviceReadIOps: rates('readIops'),
    BlkioDeviceWriteIOps: rates('writeIops'),
  };
}

function seccompName(seccomp: Container['record']['security']['seccomp']): string {
  return seccomp.kind === 'profile' ? seccomp.path : seccomp.kind;
}

function mountsOf(store: Store, { record }: Container): object[] {
  return record.mounts.map((mount) => {
    if (mount.kind === 'tmpfs')
      return { Type: 'tmpfs', Destination: mount.target, Options: mount.options, RW: true };
    return {
      Type: mount.kind,
      ...(mount.kind === 'volume' ? { Name: mount.name } : {}),
      Source: mount.kind === 'volume' ? volumeData(store.paths, mount.name) : mount.source,
      Destination: mount.target,
      Options: mount.options,
      RW: !mount.readOnly,
    };
  });
}
