import { wordError } from './dockerfile-error.ts';

/** An image's platform in the OCI's words; `variant` only where it says something (`v7` of arm). */
export interface Platform {
  os: string;
  architecture: string;
  variant: string | undefined;
}

const OPERATING_SYSTEMS = [
  'linux',
  'windows',
  'darwin',
  'freebsd',
  'netbsd',
  'openbsd',
  'dragonfly',
  'solaris',
  'aix',
];

/** Node's names (process.arch) and uname's, where they are not Go's. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  x86_64: 'amd64',
  'x86-64': 'amd64',
  ia32: '386',
  i386: '386',
  i686: '386',
  aarch64: 'arm64',
  ppc64: 'ppc64le',
  loongarch64: 'loong64',
};
const KNOWN = [
  '386',
  'amd64',
  'arm',
  'arm64',
  'loong64',
  'mips64le',
  'mipsle',
  'ppc64le',
  'riscv64',
  's390x',
];

/** What this machine runs. */
export function hostPlatform(): Platform {
  return { os: 'linux', ...normalizeArchitecture(process.arch, undefined) };
}

/**
 * `os/architecture[/variant]`; either of the first two alone, the other being the host's.
 * @throws IMGBOOT_DOCKERFILE (without a line)
 */
export function parsePlatform(text: string): Platform {
  const [first, second, third, more] = text.toLowerCase().split('/');
  const isBad =
    more !== undefined ||
    [first, second, third].some((part) => part !== undefined && !/^[\w.-]+$/.test(part));
  if (isBad) throw badPlatform(text);
  if (second !== undefined) return { os: first!, ...normalizeArchitecture(second, third) };
  const host = hostPlatform();
  if (OPERATING_SYSTEMS.includes(first!)) return { ...host, os: first! };
  const architecture = normalizeArchitecture(first!, undefined);
  if (!KNOWN.includes(architecture.architecture)) throw badPlatform(text);
  return { os: host.os, ...architecture };
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined).join('/');
}

/** What every machine of an architecture has is no variant: amd64/v1, arm64/v8. @see containerd's platforms */
function normalizeArchitecture(
  name: string,
  variant: string | undefined,
): { architecture: string; variant: string | undefined } {
  if (name === 'armhf') return { architecture: 'arm', variant: 'v7' };
  if (name === 'armel') return { architecture: 'arm', variant: 'v6' };
  const architecture = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name]! : name;
  const version = variant === undefined || variant.startsWith('v') ? variant : `v${variant}`;
  if (architecture === 'arm') return { architecture, variant: version ?? 'v7' };
  const isPlain =
    (architecture === 'amd64' && version === 'v1') || (architecture === 'arm64' && version === 'v8');
  return { architecture, variant: isPlain ? undefined : version };
}

function badPlatform(text: string): Error {
  return wordError(
    `not a platform: ${JSON.stringify(text)}`,
    'write linux/amd64, linux/arm64 or linux/arm/v7',
  );
}
