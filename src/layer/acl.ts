import { ImgbootError } from '../errors.ts';

/** linux/posix_acl.h and posix_acl_xattr.h */
const POSIX_ACL_XATTR_VERSION = 2;
const tags: Readonly<Record<string, { bare: number; named: number }>> = {
  user: { bare: 0x01, named: 0x02 },
  group: { bare: 0x04, named: 0x08 },
  mask: { bare: 0x10, named: 0x10 },
  other: { bare: 0x20, named: 0x20 },
};
const UNDEFINED_ID = 0xffffffff;

/**
 * The value of `system.posix_acl_access` or `_default` for an ACL in text, as star and GNU tar write it:
 * `user::rwx,user:1000:r-x,group::r-x,mask::rwx,other::r--`, or with GNU tar's lines in place of commas.
 * Only numbers are taken as IDs: a name would mean another user on another machine; a fourth field is star's number.
 * @throws IMGBOOT_BAD_TAR
 */
export function parseAclText(text: string): Buffer {
  const entries = text
    .split(/[,\n]/)
    .map((line) => line.replace(/#.*/, '').trim())
    .filter(Boolean)
    .map(parseEntry)
    .sort((a, b) => a.tag - b.tag || a.id - b.id);
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(POSIX_ACL_XATTR_VERSION, 0);
  for (const [index, entry] of entries.entries()) {
    value.writeUInt16LE(entry.tag, 4 + index * 8);
    value.writeUInt16LE(entry.permissions, 6 + index * 8);
    value.writeUInt32LE(entry.id, 8 + index * 8);
  }
  return value;
}

function parseEntry(line: string): { tag: number; permissions: number; id: number } {
  const [kind = '', name = '', permissions = '', number] = line.split(':');
  const tag = tags[kind];
  const id = number ?? name;
  if (tag === undefined || !/^[r-][w-][x-]$/.test(permissions) || !/^[0-9]*$/.test(id)) {
    throw new ImgbootError('IMGBOOT_BAD_TAR', `an ACL entry cannot be read: ${JSON.stringify(line)}`, {
      hint: "make the tar with tar --xattrs --xattrs-include='*' in place of --acls: that keeps the numbers",
    });
  }
  const bits =
    (permissions[0] === 'r' ? 4 : 0) | (permissions[1] === 'w' ? 2 : 0) | (permissions[2] === 'x' ? 1 : 0);
  return name === ''
    ? { tag: tag.bare, permissions: bits, id: UNDEFINED_ID }
    : { tag: tag.named, permissions: bits, id: Number(id) };
}

/** The users and groups that the value of an ACL attribute names by number. @see linux/posix_acl_xattr.h */
export function namedInAcl(value: Buffer): { users: number[]; groups: number[] } {
  const named = { users: [] as number[], groups: [] as number[] };
  for (let at = 4; at + 8 <= value.length; at += 8) {
    const tag = value.readUInt16LE(at);
    const id = value.readUInt32LE(at + 4);
    if (tag === tags['user']!.named) named.users.push(id);
    else if (tag === tags['group']!.named) named.groups.push(id);
  }
  return named;
}
