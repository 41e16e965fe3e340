import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Image } from '../store/image.ts';
import { importRootfs } from '../store/import.ts';
import type { Store } from '../store/store.ts';
import { runCommand } from '../system/exec.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';

/** Which kernel package a bootstrapped image gets. */
export const kernels = ['generic', 'cloud', 'none'] as const;
export type KernelChoice = (typeof kernels)[number];

export interface BootstrapRequest extends OperationOptions {
  /** A Debian suite: `bookworm`, `trixie`, `sid`. */
  suite: string;
  /** `debian:SUITE` when undefined. */
  reference?: string | undefined;
  kernel: KernelChoice;
  /** Packages beside the bootable set. */
  include: readonly string[];
  /** An archive other than the host's. */
  mirror?: string | undefined;
}

/** GOARCH-like names are Debian's own, but for these. */
const kernelArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** What a Debian needs to boot, and to be worked with from its console. */
const bootableSet = [
  'systemd-sysv',
  'udev',
  'dbus',
  'kmod',
  'login',
  'passwd',
  'tar',
  'btrfs-progs',
  'e2fsprogs',
  'iproute2',
  'ca-certificates',
] as const;

/** Makes an image from a Debian suite with mmdebstrap. */
export async function bootstrapDebian(store: Store, request: BootstrapRequest): Promise<Image> {
  if (!/^[a-z][a-z0-9-]*$/.test(request.suite)) {
    throw new ImgbootError(
      'IMGBOOT_USAGE',
      `not the name of a Debian suite: ${JSON.stringify(request.suite)}`,
      { hint: 'bookworm, trixie and sid are some' },
    );
  }
  const bad = request.include.find((name) => !/^[a-z0-9][a-z0-9+.-]+(?:[=:/][A-Za-z0-9.+:~-]+)?$/.test(name));
  if (bad !== undefined)
    throw new ImgbootError('IMGBOOT_USAGE', `not the name of a Debian package: ${JSON.stringify(bad)}`);
  await using scratch = await TemporaryDirectory.create();
  const tar = join(scratch.path, 'rootfs.tar');
  const packages = [...bootableSet, ...kernelPackages(request.kernel), ...request.include];
  request.progress?.({ step: `bootstrapping Debian ${request.suite}: ${packages.join(' ')}` });
  await runCommand(
    'mmdebstrap',
    [
      '--variant=minbase',
      '--quiet',
      `--include=${packages.join(',')}`,
      request.suite,
      tar,
      ...(request.mirror === undefined ? [] : [request.mirror]),
    ],
    { signal: request.signal },
  );
  // Awaited here: the tar goes with the scratch directory.
  return await importRootfs(store, {
    source: { kind: 'file', path: tar },
    reference: request.reference ?? `debian:${request.suite}`,
    createdBy: `imgboot bootstrap ${request.suite} --kernel ${request.kernel}${request.include.length > 0 ? ` --include ${request.include.join(',')}` : ''}`,
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['bash'] },
    progress: request.progress,
    signal: request.signal,
  });
}

function kernelPackages(choice: KernelChoice): string[] {
  if (choice === 'none') return [];
  const architecture = kernelArchitectures[process.arch];
  if (architecture === undefined) {
    throw new ImgbootError('IMGBOOT_USAGE', `no kernel package is known for ${process.arch}`, {
      hint: 'choose --kernel none, and name one with --include',
    });
  }
  return [`linux-image-${choice === 'cloud' ? 'cloud-' : ''}${architecture}`];
}
