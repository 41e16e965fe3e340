import { readFileSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import { defaultCapabilities } from './spec.ts';

/** linux/capability.h, by number. */
const names = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** `net_admin`, `CAP_NET_ADMIN` or `all` in the kernel's form. @throws IMGBOOT_USAGE */
export function parseCapability(text: string): string {
  const name = text.toUpperCase();
  if (name === 'ALL') return name;
  const full = name.startsWith('CAP_') ? name : `CAP_${name}`;
  if (names.includes(full)) return full;
  throw new ImgbootError('IMGBOOT_USAGE', `there is no capability ${JSON.stringify(text)}`, {
    hint: 'capabilities(7) lists them; ALL is every one',
  });
}

/**
 * What a container is left with: docker's default, less what is dropped, and what is added, as podman has it.
 * @throws IMGBOOT_NO_CAPABILITY where one is asked for that we ourselves lack
 */
export function grantedCapabilities({
  privileged,
  add,
  drop,
}: {
  privileged: boolean;
  add: readonly string[];
  drop: readonly string[];
}): string[] {
  const own = ownCapabilities();
  const missing = add.find((name) => name !== 'ALL' && !own.includes(name));
  if (missing !== undefined)
    throw new ImgbootError(
      'IMGBOOT_NO_CAPABILITY',
      `${missing} cannot be given: this process lacks it itself`,
      {
        hint: 'run imgboot where root has all capabilities, or leave out that --cap-add',
      },
    );
  const everything = privileged || add.includes('ALL');
  const base = everything ? own : drop.includes('ALL') ? [] : defaultCapabilities;
  return own.filter(
    (name) => (base.includes(name) && !drop.includes(name)) || (add.includes(name) && !drop.includes(name)),
  );
}

function ownCapabilities(): string[] {
  const mask = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}`);
  return names.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n);
}
