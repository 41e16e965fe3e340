# shellcheck shell=dash disable=SC2034,SC2154
# The way back: /run/initramfs, where systemd pivots to at power-off, and the cleaner that the booted system runs.
# It lies in RAM as long as the system runs, so it is little: one static busybox and two scripts.

# $1: the new root
imgboot_leave_way_back() {
  local clean=''
  # What a ram boot leaves alone, its cleaner does, too.
  case $imgboot_image$imgboot_deployment,$imgboot_writable_got in
    ,* | *,ram) ;;
    *) [ -z "$imgboot_store_shown" ] || ! imgboot_has_leftovers "$1$imgboot_store_shown/deployments/$imgboot_name" || clean=1 ;;
  esac
  mkdir -p /run/initramfs/bin /run/initramfs/proc /run/initramfs/sys /run/initramfs/dev /run/initramfs/run \
    /run/initramfs/oldroot /run/initramfs/tmp /run/systemd/system/multi-user.target.d
  cp -L "$imgboot_bin/busybox" /run/initramfs/bin/
  cp "$imgboot_lib/shutdown" ${clean:+"$imgboot_lib/clean"} /run/initramfs/
  [ -z "$clean" ] || imgboot_leave_cleaner "$1"
  [ -z "$imgboot_deployment" ] || imgboot_leave_bless
  imgboot_keep_dmsetup
}

# Keeps dmsetup for the way back, where there is something of device mapper's (LUKS, LVM) to close.
imgboot_keep_dmsetup() {
  local file program
  set -- /sys/class/block/dm-*
  [ -e "$1" ] && program=$(command -v dmsetup) || return 0
  mkdir -p /run/initramfs/dmsetup
  cp -L "$program" /run/initramfs/dmsetup/dmsetup
  imgboot_libraries_of "$program" | while read -r file; do
    cp -L "$file" /run/initramfs/dmsetup/
  done
  imgboot_tell_udev
}

# What was set up without udev, its rules take for unfinished, and make no links to it (10-dm.rules); a record in its
# database tells them otherwise. A udev that runs has records of its own.
imgboot_tell_udev() {
  local file numbers
  [ ! -e /run/udev/control ] || return 0
  mkdir -p /run/udev/data
  for file in /sys/class/block/dm-*/dev; do
    numbers=
    read -r numbers 2> /dev/null < "$file"
    [ -z "$numbers" ] || [ -e "/run/udev/data/b$numbers" ] \
      || printf 'E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\n' > "/run/udev/data/b$numbers"
  done
}

# Whether there is something for the cleaner.
# $1: deployments/<name>
imgboot_has_leftovers() {
  local path count=0
  for path in "$1"/ephemeral.* "$1"/.new.* "$1"/.trash.* "$1"/base.*; do
    [ -e "$path" ] || continue
    case ${path##*/} in
      ephemeral.*)
        count=$((count + 1))
        [ "$count" -le "$imgboot_keep" ] || return 0
        ;;
      "$imgboot_base") ;;
      base.*) imgboot_is_base_needed "$1" "${path##*/}" || return 0 ;;
      *) return 0 ;;
    esac
  done
  return 1
}

# Whether a layer was made on a base.
# $1: deployments/<name>  $2: the base
imgboot_is_base_needed() {
  local layer used has=''
  read -r has 2> /dev/null < "$1/persistent.toplayer"
  case $2 in
    base."${has#sha256:}".*) return 0 ;;
  esac
  for layer in "$1"/ephemeral "$1"/ephemeral.*; do
    [ -d "$layer" ] || continue
    used=$layer/on
    [ "$imgboot_driver" = overlay ] || used=$1/made/$(stat -f -c %i "$layer")
    for used in "$used"/*/"$2"; do
      [ ! -d "$used" ] || return 0
    done
  done
  return 1
}

# Asks the booted system to delete, when it is up, what no boot needs any more.
# $1: the new root
imgboot_leave_cleaner() {
  printf '%s\n' "$imgboot_store_shown" "$imgboot_name" "$imgboot_keep" "$imgboot_driver" \
    "$imgboot_base" > /run/initramfs/clean.order
  imgboot_keep_btrfs "$1"
  printf '%s\n' '[Unit]' 'Description=Delete earlier writable layers' \
    "ConditionPathIsDirectory=$imgboot_store_shown" '' '[Service]' 'Type=exec' \
    'ExecStart=/run/initramfs/bin/busybox sh /run/initramfs/clean' 'PrivateMounts=yes' 'Nice=19' \
    'IOSchedulingClass=idle' > /run/systemd/system/imgboot-clean.service
  printf '%s\n' '[Unit]' 'Wants=imgboot-clean.service' > /run/systemd/system/multi-user.target.d/imgboot.conf
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
  cp -L "$imgboot_bin/btrfs" /run/initramfs/btrfs/btrfs
  imgboot_libraries_of "$imgboot_bin/btrfs" | while read -r file; do
    cp -L "$file" /run/initramfs/btrfs/
  done
}
