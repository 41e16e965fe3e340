import { resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import { parseReference } from './reference.ts';

/** containers-transports(5) */
const transports = [
  'docker://',
  'docker-archive:',
  'docker-daemon:',
  'oci-archive:',
  'oci:',
  'dir:',
  'containers-storage:',
  'ostree:',
  'sif:',
  'tarball:',
] as const;

/** An image elsewhere, in skopeo's words: `docker://debian:bookworm`, `oci:DIR:TAG`. */
export type ImageName = `${(typeof transports)[number]}${string}`;

/** How skopeo reaches a registry. */
export interface RegistryOptions {
  /** `USER:PASSWORD`; otherwise the auth file's. */
  creds?: string | undefined;
  authfile?: string | undefined;
  /** False allows plain HTTP and unknown certificates. */
  tlsVerify?: boolean | undefined;
  /** `os/arch[/variant]`; the host's by default. */
  platform?: string | undefined;
}

/** Transports that name a file or directory; skopeo runs elsewhere, so its path is made absolute. */
const pathTransports = ['docker-archive:', 'oci-archive:', 'oci:', 'dir:'] as const;

/** A name with a transport; a plain reference is one in a registry. @throws IMGBOOT_BAD_REFERENCE */
export function imageName(text: string): ImageName {
  const onDisk = pathTransports.find((transport) => text.startsWith(transport));
  if (onDisk !== undefined) return `${onDisk}${resolve(text.slice(onDisk.length))}`;
  if (transports.some((transport) => text.startsWith(transport))) return text as ImageName;
  parseReference(text);
  return `docker://${text}`;
}

/**
 * The reference that a name carries, for keeping the image under it; undefined for one that carries none.
 * A path is not a reference: `oci:/srv/layout` has none, `oci:/srv/layout:desktop` has `desktop`.
 */
export function referenceIn(name: ImageName): string | undefined {
  const [, transport, rest = ''] = /^([a-z-]+:(?:\/\/)?)(.*)$/s.exec(name) ?? [];
  const parts = rest.split(':');
  const candidate =
    transport === 'docker://' || transport === 'docker-daemon:' || transport === 'containers-storage:'
      ? rest.replace(/^\[[^\]]*\]/, '').replace(/@sha256:[0-9a-f]{64}$/, '')
      : transport === 'oci:' || transport === 'oci-archive:' || transport === 'docker-archive:'
        ? parts.slice(1).join(':')
        : '';
  try {
    parseReference(candidate);
    return candidate;
  } catch {
    return undefined;
  }
}

export interface CopyRequest extends RegistryOptions {
  from: ImageName;
  to: ImageName;
  /** Relative paths in the names are from here: a path with a colon cannot be given otherwise. */
  cwd: string;
  /** Which side the registry options are for. */
  remote: 'from' | 'to';
  signal?: AbortSignal | undefined;
}

/**
 * Copies an image with skopeo, which checks every blob against its digest and the host's signature policy.
 * Layers keep the compression that they have.
 * @throws IMGBOOT_COPY_FAILED with skopeo's own words
 */
export async function copyImage(request: CopyRequest): Promise<void> {
  const side = request.remote === 'from' ? 'src' : 'dest';
  const args = [
    ...platformArguments(request.platform),
    'copy',
    ...(request.to.startsWith('oci:') ? ['--dest-oci-accept-uncompressed-layers'] : []),
    ...(request.creds === undefined ? [] : [`--${side}-creds`, request.creds]),
    ...(request.authfile === undefined ? [] : [`--${side}-authfile`, request.authfile]),
    ...(request.tlsVerify === undefined ? [] : [`--${side}-tls-verify=${request.tlsVerify}`]),
    ...daemonArguments('src', request.from),
    ...daemonArguments('dest', request.to),
    request.from,
    request.to,
  ];
  try {
    await runCommand('skopeo', args, { cwd: request.cwd, signal: request.signal });
  } catch (cause) {
    throw copyFailure(`cannot copy ${request.from} to ${request.to}`, cause);
  }
}

function daemonArguments(side: 'src' | 'dest', name: ImageName): string[] {
  const host = daemonHost(name);
  return host === undefined ? [] : [`--${side}-daemon-host`, host];
}

/** Where docker's own client finds the daemon, and skopeo does not; undefined for the usual place. */
export function daemonHost(name: ImageName): string | undefined {
  return name.startsWith('docker-daemon:') ? process.env['DOCKER_HOST'] : undefined;
}

/** skopeo's words for `os/arch[/variant]`. */
export function platformArguments(platform: string | undefined): string[] {
  const [os, architecture, variant] = platform?.split('/') ?? [];
  return [
    ...(os === undefined ? [] : ['--override-os', os]),
    ...(architecture === undefined ? [] : ['--override-arch', architecture]),
    ...(variant === undefined ? [] : ['--override-variant', variant]),
  ];
}

/** The error where skopeo failed; another stays what it is. */
export function copyFailure(what: string, cause: unknown): unknown {
  if (!(cause instanceof ImgbootError) || cause.code !== 'IMGBOOT_COMMAND_FAILED') return cause;
  return new ImgbootError('IMGBOOT_COPY_FAILED', `${what}: ${skopeoWords(cause.message)}`, {
    cause,
    hint: cause.hint,
  });
}

/** skopeo's `msg="..."` without the log line around it. */
function skopeoWords(message: string): string {
  const quoted = /msg="((?:[^"\\]|\\.)*)"/.exec(message);
  return quoted === null ? message : quoted[1]!.replaceAll('\\"', '"');
}
