# shellcheck shell=dash disable=SC2034,SC2154
# The boot: everything that is the same under every generator of initramfs images. docs/boot.md tells it as a story.
#
# The port: whoever sources this provides
#   host_cmdline          leaves the kernel command line in imgboot_reply
#   host_load_hardware    loads the drivers of the hardware that is there now; called again while a device is waited for
#   host_load_module NAME loads a module with what it needs, if there is one
#   host_newroot          leaves the directory where the new root is to be mounted in imgboot_reply
#   host_info TEXT        says what goes on (nothing with `quiet`)
#   host_warn TEXT        says what is wrong, but no reason to stop
#   host_die TEXT         says why the boot stops, on every console, and acts as the command line has it; no return
#   host_break POINT      a shell, where rd.break asked for one
# (the last four are in console.sh for whoever has a console) and sets imgboot_lib to the directory of these files,
# imgboot_bin to that of the programs (a static busybox, GNU tar, btrfs), imgboot_run to /run/imgboot, which it has made,
# and imgboot_work to a directory for mounts, which need not be there.

: "${imgboot_bin:=/usr/bin}"
for imgboot_part in text cmdline device layers luks passphrase volumes plain overlay watchdog store writable ram toplayer report \
  shutdown; do
  # shellcheck source=/dev/null
  . "$imgboot_lib/$imgboot_part.sh"
done
unset imgboot_part

# Whether the disks are only read (a RAM boot of an image); the one of them whose journal has changes that are not seen.
imgboot_reads_only=
imgboot_pending=

# Stops the boot. One line: what was tried, what happened, what to do.
# $1: what was tried  $2: what happened  $3: what to do
imgboot_fail() {
  local why="$2"
  # A tool's own words may be several lines; the console gets one.
  case $2 in
    *'
'*) why=$(printf '%s' "$2" | tr '\n' ';') ;;
  esac
  imgboot_printable "imgboot: $1: ${why:-failed}. To mend it: $3."
  host_die "$imgboot_reply"
}

# From the command line to a mounted new root. The kernel command line has been parsed.
imgboot_boot() {
  local root
  host_newroot
  root=$imgboot_reply
  imgboot_check_parameters
  imgboot_start_watchdog
  imgboot_step device
  host_break initqueue
  imgboot_wait_device "$imgboot_root" root "$imgboot_rootfstype"
  host_break pre-mount
  imgboot_try_resume
  imgboot_step mount
  if [ -n "$imgboot_image$imgboot_deployment" ]; then
    imgboot_boot_image "$root"
  else
    imgboot_boot_plain "$root"
  fi
  host_break mount
  imgboot_step 'way back'
  imgboot_leave_way_back "$root"
  imgboot_choose_init "$root"
  imgboot_confirm_root
  imgboot_tell_degraded
  imgboot_step ''
  imgboot_write_report "$imgboot_init"
  [ -z "$imgboot_image$imgboot_deployment" ] || imgboot_close_disk
  rm -f "$imgboot_run/devices" "$imgboot_run/layers" "$imgboot_run/crypttab"
  host_break pre-pivot
  imgboot_stop_watchdog
}

# $1: the new root
imgboot_boot_image() {
  mkdir -p "$imgboot_work/disk" "$imgboot_work/merge" "$imgboot_work/ram"
  # A deployment is counted, reported and upgraded, whatever its root lies in.
  case $imgboot_deployment,$imgboot_writable in
    ,ram*) imgboot_reads_only=1 ;;
  esac
  imgboot_mount_disk
  case $imgboot_image in
    docker://* | containers-storage:*) imgboot_find_foreign_image "$imgboot_work/disk" ;;
    *)
      imgboot_find_store "$imgboot_work/disk"
      if [ -n "$imgboot_deployment" ]; then
        imgboot_step deployment
        imgboot_open_deployment
      else
        imgboot_find_image "$imgboot_image"
      fi
      ;;
  esac
  imgboot_tell_journal
  # The last layer once more has the top layer that it was given.
  [ "$imgboot_writable" != previous ] || imgboot_top=
  if [ -n "$imgboot_top" ]; then
    imgboot_step 'top layer'
    imgboot_open_toplayer
  fi
  imgboot_step 'writable layer'
  host_info "booting ${imgboot_deployment:+$imgboot_name, }$imgboot_reference from $imgboot_device, ${imgboot_writable:-ephemeral}"
  imgboot_make_root "$1"
  if [ -n "$imgboot_deployment" ]; then
    imgboot_mount_persist "$1"
    imgboot_bring_modules "$1"
  fi
  imgboot_settle_machine_id "$1"
  imgboot_step store
  imgboot_close_toplayer
  imgboot_show_store "$1"
  [ -z "$imgboot_data_path" ] || imgboot_show_data "$1"
}

# Mounts the root file system with the store; one that is only read is neither checked nor written to.
imgboot_mount_disk() {
  if [ -n "$imgboot_reads_only" ]; then
    imgboot_read_options "${imgboot_rootflags:+$imgboot_rootflags,}ro"
  else
    imgboot_check_filesystem
    imgboot_reply="${imgboot_rootflags:+$imgboot_rootflags,}rw"
  fi
  imgboot_mount_device "$imgboot_reply" "$imgboot_work/disk" 'the root file system' rootflags
}

# Keeps the report in the store, where the writable layer is on the disk or a deployment's, and closes the disk.
imgboot_close_disk() {
  [ -z "$imgboot_writable_dir$imgboot_deployment" ] || imgboot_keep_report "$imgboot_place" \
    || imgboot_fallback "the boot report could not be kept in the store $imgboot_store_path"
  # What the new root needs holds the file system by itself; a mount that nobody can see would keep it dirty for ever.
  imgboot_try 'closing the root file system' umount "$imgboot_work/disk"
}

# An image has no machine ID (machine-id(5)), and to systemd that means a first boot, which stops and asks for the
# locale on the console; an empty file means: make an ID, ask nothing. One from the image or top layer stays.
# $1: the new root
imgboot_settle_machine_id() {
  local file="$1/etc/machine-id" id=''
  [ -e "$1/usr/lib/systemd/systemd" ] || [ -e "$1/lib/systemd/systemd" ] || return 0
  [ -d "$1/etc" ] && [ ! -L "$1/etc" ] && [ ! -L "$file" ] || return 0
  { [ ! -e "$file" ] || [ -f "$file" ]; } || return 0
  read -r id 2> /dev/null < "$file"
  case $id in
    '' | uninitialized) : > "$file" ;;
  esac
}

# Adds, for a boot that only reads the disk, what keeps a mount from writing even what its journal has for it;
# imgboot_pending is the device whose journal has something.
# $1: options
imgboot_read_options() {
  local pending=''
  if [ -z "$imgboot_reads_only" ]; then
    imgboot_reply=$1
    return 0
  fi
  case $imgboot_fstype in
    ext3 | ext4)
      # s_feature_incompat at 1024 + 0x60: 4 is EXT4_FEATURE_INCOMPAT_RECOVER.
      pending=$(dd if="$imgboot_device" bs=4 skip=$(((1024 + 96) / 4)) count=1 2> /dev/null | od -An -v -tu1)
      # shellcheck disable=SC2086
      set -- "$1,noload" $pending
      pending=$((${2:-0} & 4))
      ;;
    xfs) set -- "$1,norecovery" ;;
    btrfs)
      # log_root at 64 KiB + 0x60.
      pending=$(dd if="$imgboot_device" bs=8 skip=$(((65536 + 96) / 8)) count=1 2> /dev/null | od -An -v -tu1 | tr -d ' 0\n')
      set -- "$1,rescue=nologreplay"
      ;;
  esac
  case ${pending:-0} in
    0) ;;
    *) imgboot_pending=$imgboot_device ;;
  esac
  imgboot_reply=$1
}

# Says, once, that a boot sees a file system as it was before its journal.
imgboot_tell_journal() {
  [ -n "$imgboot_pending" ] || return 0
  imgboot_fallback "the journal of $imgboot_pending has changes that a ram boot does not replay; it sees the file system without them"
  imgboot_pending=
}

# Finds the program that gets the machine: init= or the usual ones; left in imgboot_init.
# $1: the new root
imgboot_choose_init() {
  local path
  if [ -n "$imgboot_init" ]; then
    imgboot_is_program "$1" "$imgboot_init" && return 0
    imgboot_fail "starting init=$imgboot_init" 'the new root has no such program' 'correct init= in the boot entry'
  fi
  for path in /sbin/init /etc/init /bin/init /bin/sh; do
    if imgboot_is_program "$1" "$path"; then
      imgboot_init=$path
      [ "$path" != /bin/sh ] || imgboot_fallback 'the image has no init; starting /bin/sh'
      return 0
    fi
  done
  imgboot_fail "starting the system on ${imgboot_reference:-$imgboot_device}" \
    'it has none of /sbin/init, /etc/init, /bin/init, /bin/sh' 'put one into the image, or name it with init='
}

# Whether a path is a program, its symbolic links read as the new root will read them.
# $1: the new root  $2: path
imgboot_is_program() {
  imgboot_resolve_inside "$1" "$2" && [ -f "$1$imgboot_reply" ] && [ -x "$1$imgboot_reply" ]
}
