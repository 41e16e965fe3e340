import type { FileFacts } from './tree.ts';

/** What nobody but its owner, and perhaps a group, is to read: programs refuse it otherwise, or everybody has it. */
const secrets: readonly { pattern: RegExp; mask: number }[] = [
  { pattern: /^\/etc\/g?shadow-?$/, mask: 0o007 },
  { pattern: /^\/etc\/ssh\/ssh_host_[^/]*_key$/, mask: 0o037 },
  { pattern: /\/\.ssh\/(?:id_[^/.]+|identity)$/, mask: 0o077 },
  { pattern: /\/\.gnupg\/private-keys-v1\.d\/[^/]+$/, mask: 0o077 },
  { pattern: /^\/etc\/(?:ssl|pki)(?:\/.*)?\/private\/[^/]+$/, mask: 0o007 },
  { pattern: /^\/etc\/(?:wireguard|NetworkManager\/system-connections)\/[^/]+$/, mask: 0o007 },
  { pattern: /^\/etc\/(?:krb5\.keytab|sudoers|sudoers\.d\/[^/]+)$/, mask: 0o007 },
];

/** The permission bits that a file at a place of a root must not have, because it is known to be secret; 0 for others. */
export function forbiddenBits(place: string): number {
  return secrets.find(({ pattern }) => pattern.test(place))?.mask ?? 0;
}

/** Whether a file's content is nothing to print. */
export function isSecret(place: string, facts: Pick<FileFacts, 'mode'>): boolean {
  return (facts.mode & 0o004) === 0 || forbiddenBits(place) !== 0;
}
