import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { ImgbootError, errnoOf, errorMessage } from '../errors.ts';

/** A filter of system calls as the runtime takes it. @see runtime-spec config-linux.md, "Seccomp" */
export interface SeccompFilter {
  defaultAction: string;
  defaultErrnoRet?: number;
  architectures: string[];
  syscalls: { names: string[]; action: string; errnoRet?: number; args?: object[] }[];
}

/** A profile as docker and podman write theirs: rules with the conditions under which they hold. */
interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet?: number;
  archMap?: { architecture: string; subArchitectures?: string[] | null }[];
  syscalls: {
    names: string[];
    action: string;
    errnoRet?: number;
    args?: object[] | null;
    includes?: Conditions | null;
    excludes?: Conditions | null;
  }[];
}

interface Conditions {
  caps?: string[];
  arches?: string[];
  minKernel?: string;
}

/** Where containers-common puts the field's profile, and administrators their own. */
const profilePaths = ['/etc/containers/seccomp.json', '/usr/share/containers/seccomp.json'];

/** Node's names of architectures as the profile (libseccomp and Go) has them. */
const architectures: Readonly<Record<string, { seccomp: string; go: string }>> = {
  x64: { seccomp: 'SCMP_ARCH_X86_64', go: 'amd64' },
  arm64: { seccomp: 'SCMP_ARCH_AARCH64', go: 'arm64' },
  arm: { seccomp: 'SCMP_ARCH_ARM', go: 'arm' },
  ppc64: { seccomp: 'SCMP_ARCH_PPC64LE', go: 'ppc64le' },
  riscv64: { seccomp: 'SCMP_ARCH_RISCV64', go: 'riscv64' },
  s390x: { seccomp: 'SCMP_ARCH_S390X', go: 's390x' },
};

/** The filter of this host's profile for a process with these capabilities; undefined where none is installed. */
export function defaultSeccompFilter(capabilities: readonly string[]): SeccompFilter | undefined {
  for (const path of profilePaths) {
    const text = readIfThere(path);
    if (text !== undefined) return parseSeccompProfile({ path, text }, capabilities);
  }
  return undefined;
}

/** The filter of a profile's text; `path` is for messages. @throws IMGBOOT_BAD_SECCOMP_PROFILE */
export function parseSeccompProfile(
  { path, text }: { path: string; text: string },
  capabilities: readonly string[],
): SeccompFilter | undefined {
  try {
    return seccompFilter(JSON.parse(text) as SeccompProfile, {
      capabilities,
      architecture: process.arch,
      kernel: release(),
    });
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_BAD_SECCOMP_PROFILE', `${path}: ${errorMessage(cause)}`, {
      cause,
      hint: 'give another profile; the usual one comes with the package containers-common',
    });
  }
}

/** The rules of a profile that hold here. Pure. */
export function seccompFilter(
  profile: SeccompProfile,
  host: { capabilities: readonly string[]; architecture: string; kernel: string },
): SeccompFilter | undefined {
  const own = architectures[host.architecture];
  if (own === undefined) return undefined;
  const compatible = profile.archMap?.find(({ architecture }) => architecture === own.seccomp);
  const holds = ({ caps, arches, minKernel }: Conditions): boolean[] => [
    ...(caps ?? []).map((name) => host.capabilities.includes(name)),
    ...(arches === undefined || arches.length === 0 ? [] : [arches.includes(own.go)]),
    ...(minKernel === undefined || minKernel === '' ? [] : [isAtLeast(host.kernel, minKernel)]),
  ];
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: [own.seccomp, ...(compatible?.subArchitectures ?? [])],
    syscalls: profile.syscalls
      .filter(
        ({ includes, excludes }) =>
          holds(includes ?? {}).every(Boolean) && !holds(excludes ?? {}).some(Boolean),
      )
      .map(({ names, action, errnoRet, args }) => ({
        names,
        action,
        ...(errnoRet === undefined ? {} : { errnoRet }),
        ...(args === undefined || args === null || args.length === 0 ? {} : { args }),
      })),
  };
}

function isAtLeast(kernel: string, wanted: string): boolean {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map((part) => Number.parseInt(part, 10));
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
