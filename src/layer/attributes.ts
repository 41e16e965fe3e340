import { errnoOf } from '../errors.ts';
import { readXattrs, removeXattr, setXattr } from '../system/libc.ts';
import { ignoredXattr } from './ignored-xattrs.ts';

/** @see acl(5) */
export const ACCESS_ACL = 'system.posix_acl_access';
/** The ACL that files made in a directory inherit. @see acl(5) */
export const DEFAULT_ACL = 'system.posix_acl_default';

/** Sets extended attributes, but for those that are none of the image's. */
export function setXattrs(path: Buffer, xattrs: ReadonlyMap<string, Buffer>): void {
  for (const [name, value] of xattrs) {
    if (ignoredXattr.test(name)) continue;
    try {
      setXattr(path, name, value);
    } catch (error) {
      // A name that this kernel has no place for, such as macOS's com.apple.provenance.
      if (errnoOf(error) !== 'EOPNOTSUPP') throw error;
    }
  }
}

/** Takes away what extended attributes a path has, but for those that are none of the image's. */
export function clearXattrs(path: Buffer): void {
  for (const name of readXattrs(path).keys()) if (!ignoredXattr.test(name)) removeXattr(path, name);
}
