/** Attributes that mean something to the host that keeps a layer, not to the image. */
export const ignoredXattr = /^(?:trusted\.overlay\.|user\.overlay\.|security\.selinux$|system\.nfs4_acl$)/;
