import { fileURLToPath } from 'node:url';
import { CommandFailed, ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';

/** Generators of initramfs images that there are hooks for. */
export const hookGenerators = ['dracut', 'initramfs-tools', 'mkinitcpio'] as const;
export type HookGenerator = (typeof hookGenerators)[number];

export interface HooksRequest {
  /** The root directory of the system; `/` for this machine's. */
  root: string;
  /** With none: those that are there. */
  generators: readonly HookGenerator[];
}

/** What is there of a generator's hooks. */
export interface HookStatus {
  generator: HookGenerator;
  /** `outdated`: whole, and of another version; `modified`: not as they were installed. */
  state: 'installed' | 'outdated' | 'modified' | 'absent';
  /** Whether the generator itself is there; known where its hooks are not. */
  hasGenerator?: boolean;
  /** Files that are not as they were installed. */
  files: { path: string; state: 'modified' | 'missing' }[];
}

/**
 * Puts the hooks where the generators look for them. Each file is whole or absent; installing again brings all up to
 * date. Needs the right to write there.
 * @param request enable puts the hook into mkinitcpio.conf, too, and keeps the old file beside it
 * @returns what was done, one line each. @throws IMGBOOT_HOOKS
 */
export async function installHooks(request: HooksRequest & { enable: boolean }): Promise<string[]> {
  return runInstaller('install', request, request.enable ? ['--enable'] : []);
}

/** Removes the hooks, but for files that somebody changed. @returns what was done. @throws IMGBOOT_HOOKS */
export async function removeHooks(request: HooksRequest): Promise<string[]> {
  return runInstaller('remove', request, []);
}

/** What is there. Changes nothing. @throws IMGBOOT_HOOKS */
export async function hooksStatus(request: HooksRequest): Promise<HookStatus[]> {
  return parseHooksStatus(await runInstaller('status', request, []));
}

/** Reads what `hooks/install status` prints. */
export function parseHooksStatus(lines: readonly string[]): HookStatus[] {
  const statuses: HookStatus[] = [];
  for (const line of lines) {
    const [name = '', value = ''] = line.trim().split(/: (.*)/);
    if (line.startsWith(' ')) {
      statuses.at(-1)!.files.push({ path: value, state: name as 'modified' | 'missing' });
      continue;
    }
    const [state] = value.split(' ', 1) as [HookStatus['state']];
    const status: HookStatus = { generator: name as HookGenerator, state, files: [] };
    if (state === 'absent') status.hasGenerator = value === 'absent';
    statuses.push(status);
  }
  return statuses;
}

async function runInstaller(
  verb: string,
  { root, generators }: HooksRequest,
  flags: readonly string[],
): Promise<string[]> {
  const script = fileURLToPath(new URL('../../hooks/install', import.meta.url));
  const args = [script, '--root', root, ...flags, verb, ...generators];
  try {
    const { stdout } = await runCommand('/bin/sh', args);
    return stdout === '' ? [] : stdout.split('\n');
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    const [message = '', hint] = cause.stderr.trim().split('\n');
    throw new ImgbootError('IMGBOOT_HOOKS', message.replace('hooks/install: ', ''), {
      cause,
      hint: hint?.trim(),
    });
  }
}
