/** Options of GNU tar for a tar of a root file system that is the same whenever the content is. */
export const canonicalTar = [
  '--create',
  '--sort=name',
  '--numeric-owner',
  '--acls',
  '--xattrs',
  '--xattrs-include=*',
  '--xattrs-exclude=trusted.overlay.*',
  '--sparse',
  '--format=pax',
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
  '--one-file-system',
] as const;
