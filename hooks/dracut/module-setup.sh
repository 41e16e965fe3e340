#!/bin/bash
# dracut: the module imgboot, which puts the boot of images into what dracut makes. See dracut.modules(7).

# shellcheck source=hooks/others/image.sh
. /usr/share/imgboot/hooks/others/image.sh

check() {
  local name
  imgboot_find_busybox > /dev/null || return 1
  for name in $(imgboot_list_contents program); do
    imgboot_find_program "$name" > /dev/null || return 1
  done
}

depends() {
  printf 'base udev-rules\n'
}

installkernel() {
  # shellcheck disable=SC2046
  hostonly='' instmods $(imgboot_list_contents module)
}

# dracut's own variables.
# shellcheck disable=SC2154
install() {
  local name
  imgboot_add_files "$initdir" || return 1
  for name in $(imgboot_list_contents program); do
    inst_binary "$(imgboot_find_program "$name")" "/usr/lib/imgboot/bin/$name" || return 1
  done
  imgboot_join_copies "$initdir"
  inst_simple "$moddir/turn" /usr/lib/imgboot/turn
  inst_hook cmdline 90 "$moddir/parse-imgboot.sh"
  if dracut_module_included systemd; then
    imgboot_add_units "$initdir" /bin/sh
  else
    inst_hook mount 10 "$moddir/mount-imgboot.sh"
  fi
}
