#!/bin/sh
# shellcheck disable=SC2154
# dracut: mounts the new root, where dracut's own init is the first process.

if [ "$root" = imgboot ]; then
  /usr/lib/imgboot/bin/busybox sh /usr/lib/imgboot/boot "$NEWROOT" "$(getcmdline)" || die 'imgboot: the boot was stopped'
  read -r imgboot_init < /run/imgboot/init
  rm /run/imgboot/init
  # dracut knows /sbin/init by itself, and init=.
  if [ "$imgboot_init" != /sbin/init ]; then
    printf ' rd.distroinit=%s\n' "$imgboot_init" > /etc/cmdline.d/99-imgboot.conf
    unset CMDLINE CMDLINE_ETC CMDLINE_ETC_D
  fi
fi
