# shellcheck shell=dash disable=SC2034,SC2154
# A writable layer in RAM, with the top layer in RAM, too.

# The first user.* attribute that RAM could not hold; whether an ext2 in RAM holds the top layer instead.
imgboot_lost_attributes=
imgboot_ram_image=

# $1: the new root
imgboot_make_ram() {
  local size="${imgboot_writable#ram}" top=''
  size=${size#:}
  imgboot_writable_got=ram
  imgboot_try 'making a writable layer in RAM' mount -t tmpfs -o "mode=0755${size:+,$size}" imgboot-ram "$imgboot_work/ram"
  imgboot_try 'making a writable layer in RAM' mkdir "$imgboot_work/ram/upper" "$imgboot_work/ram/work"
  if [ -n "$imgboot_top" ]; then
    imgboot_make_ram_toplayer
    top=$imgboot_reply
  fi
  imgboot_mount_overlay "$1" "$top" "$imgboot_work/ram"
  imgboot_show_in_ram "$imgboot_work/ram/upper" written
  [ -z "$top" ] || imgboot_show_in_ram "$top" toplayer
  # The overlay keeps the file systems; the booted system has no use for their names.
  [ -z "$imgboot_ram_image" ] || imgboot_try 'unmounting the top layer' umount "$imgboot_work/ram/ext2"
  imgboot_try 'unmounting the RAM layer' umount -l "$imgboot_work/ram"
}

# Leaves a name for a directory in RAM, so that what the system changes can be told from what it was given.
# $1: the directory  $2: the name, in /run/imgboot
imgboot_show_in_ram() {
  imgboot_try "showing $2 in RAM" mkdir -m 0700 "$imgboot_run/$2"
  imgboot_try "showing $2 in RAM" mount --bind "$1" "$imgboot_run/$2"
  imgboot_try "showing $2 in RAM" mount -o remount,bind,ro none "$imgboot_run/$2"
}

# Applies the top layer in RAM, as a lower directory of its own, which is left in imgboot_reply. Before Linux 6.6 a
# tmpfs has no user.* attributes; a top layer that has some gets a small ext2 in a file there.
imgboot_make_ram_toplayer() {
  local error
  imgboot_apply_in_ram "$imgboot_work/ram/top"
  if [ -n "$imgboot_lost_attributes" ]; then
    host_load_module loop
    host_load_module ext4
    if error=$(imgboot_make_ram_image 2>&1); then
      rm -rf "$imgboot_work/ram/top"
      imgboot_apply_in_ram "$imgboot_work/ram/ext2/top"
      [ -z "$imgboot_lost_attributes" ] \
        || imgboot_fail 'applying the top layer' "$imgboot_lost_attributes" 'boot with a newer kernel'
      imgboot_ram_image=1
      imgboot_reply="$imgboot_work/ram/ext2/top/upper"
      return 0
    fi
    imgboot_fallback "the top layer in RAM is without its user.* attributes: $error"
  fi
  imgboot_reply="$imgboot_work/ram/top/upper"
}

# $1: the directory to make
imgboot_apply_in_ram() {
  imgboot_lost_attributes=
  imgboot_try 'making the top layer in RAM' mkdir "$1" "$1/upper" "$1/work"
  imgboot_mount_overlay "$imgboot_work/merge" '' "$1"
  imgboot_apply_toplayer "$imgboot_work/merge"
  imgboot_try 'unmounting the top layer' umount "$imgboot_work/merge"
}

# Makes an ext2 in RAM with room for the top layer and mounts it.
imgboot_make_ram_image() {
  local file="$imgboot_work/ram/ext2.img" size
  # Room for the content and its rounding, and for an inode a KiB.
  size=$(du -sk "$imgboot_top_dir")
  size=$(((${size%%[!0-9]*} + imgboot_top_files * 4 + 1024) * 2))
  mkdir "$imgboot_work/ram/ext2" \
    && dd if=/dev/null of="$file" bs=1024 seek="$size" 2> /dev/null \
    && "$imgboot_bin/busybox" mke2fs -F -b 1024 -i 1024 -I 256 -m 0 "$file" > /dev/null \
    && mount -t ext4 -o loop "$file" "$imgboot_work/ram/ext2"
}
