/** Options of GNU tar for a tar of a root file system that is the same whenever the content is. */
export const canonicalTar = [
  '--create',
  // A colon in the archive's name would make it one on another host.
  '--force-local',
  '--sort=name',
  '--numeric-owner',
  // ACLs come as extended attributes, too; by --acls they would name the users of this host.
  '--xattrs',
  '--xattrs-include=*',
  '--xattrs-exclude=trusted.overlay.*',
  '--sparse',
  // The later versions write the number of tar's process into the archive.
  '--sparse-version=0.0',
  '--format=pax',
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
  '--one-file-system',
] as const;
