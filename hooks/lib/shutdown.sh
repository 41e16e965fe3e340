# shellcheck shell=dash disable=SC2034,SC2154
# The way back: /run/initramfs, where systemd pivots to at power-off, and the cleaner that the booted system runs.
# It lies in RAM as long as the system runs, so it is little: one static busybox and two scripts.

# $1: the new root
imgboot_leave_way_back() {
  mkdir -p /run/initramfs/bin /run/initramfs/proc /run/initramfs/sys /run/initramfs/dev /run/initramfs/run \
    /run/initramfs/oldroot /run/initramfs/tmp
  cp /bin/busybox /run/initramfs/bin/busybox
  cp "$imgboot_lib/shutdown" /run/initramfs/shutdown
  ln -s busybox /run/initramfs/bin/sh
  [ -z "$imgboot_image" ] || imgboot_leave_cleaner "$1"
}

# Asks the booted system to delete, when it is up, what no boot needs any more.
# $1: the new root
imgboot_leave_cleaner() {
  local base='' directory=/run/systemd/system
  # What a ram boot leaves alone, its cleaner does, too.
  [ "$imgboot_writable_got" != ram ] || return 0
  cp "$imgboot_lib/clean" /run/initramfs/clean
  [ -z "$imgboot_top" ] || base=base.${imgboot_top_digest#sha256:}
  {
    printf '%s\n' "$imgboot_store_path" "$imgboot_name" "$imgboot_keep" "$base" "$imgboot_driver"
  } > /run/initramfs/clean.order
  imgboot_keep_btrfs "$1"
  mkdir -p "$directory/multi-user.target.wants"
  printf '%s\n' '[Unit]' 'Description=Delete earlier writable layers' \
    "ConditionPathIsDirectory=$imgboot_store_path" '' '[Service]' 'Type=exec' \
    'ExecStart=/run/initramfs/bin/busybox sh /run/initramfs/clean' 'PrivateMounts=yes' 'Nice=19' \
    'IOSchedulingClass=idle' > "$directory/imgboot-clean.service"
  ln -s ../imgboot-clean.service "$directory/multi-user.target.wants/imgboot-clean.service"
}

# Keeps our own btrfs for the cleaner, where the image has none; the cleaner takes it away when it is done.
# $1: the new root
imgboot_keep_btrfs() {
  local file
  [ "$imgboot_driver" = btrfs ] || return 0
  for file in bin/btrfs sbin/btrfs usr/bin/btrfs usr/sbin/btrfs; do
    [ ! -x "$1/$file" ] || return 0
  done
  mkdir -p /run/initramfs/btrfs
  cp -L /usr/bin/btrfs /run/initramfs/btrfs/btrfs
  imgboot_libraries_of /usr/bin/btrfs | while read -r file; do
    cp -L "$file" /run/initramfs/btrfs/
  done
}
