# shellcheck shell=dash disable=SC2034,SC2154
# A root as any initramfs has it: checked, mounted, with a /usr of its own where its fstab says so; and what is checked
# or resumed before any root is touched.

# fsck.mode= (auto, force, skip), fsck.repair= (preen, yes, no); resume=, resume_offset=, noresume
imgboot_fsck_mode=auto
imgboot_fsck_repair=preen
imgboot_resume=
imgboot_resume_offset=
imgboot_noresume=

# Takes a word of the command line, if it is one of these.
# $1: the word  $2: its value
imgboot_take_plain_parameter() {
  case $1 in
    fsck.mode=auto | fsck.mode=force | fsck.mode=skip) imgboot_fsck_mode=$2 ;;
    fsck.mode=*) imgboot_refuse_parameter "$1" 'is none of auto, force, skip' ;;
    fsck.repair=preen | fsck.repair=yes | fsck.repair=no) imgboot_fsck_repair=$2 ;;
    fsck.repair=*) imgboot_refuse_parameter "$1" 'is none of preen, yes, no' ;;
    # As initramfs-tools and sysvinit have them.
    fastboot) imgboot_fsck_mode=skip ;;
    forcefsck) imgboot_fsck_mode=force ;;
    fsckfix) imgboot_fsck_repair=yes ;;
    resume=*) imgboot_resume=$2 ;;
    resume_offset=*) imgboot_take_word "$1" "$2" '*[!0-9]*' 'a number' && imgboot_resume_offset=$2 ;;
    noresume) imgboot_noresume=1 ;;
  esac
}

# Mounts a root that is no image's.
# $1: where
imgboot_boot_plain() {
  local options="$imgboot_rootmode"
  # The disk below an overlay is only read.
  [ -z "$imgboot_overlay" ] || options=ro
  case $imgboot_fsck_mode,$imgboot_overlay in
    auto,?*) ;;
    *) imgboot_check_filesystem ;;
  esac
  host_info "mounting $imgboot_device ($imgboot_fstype)"
  imgboot_mount_device "${imgboot_rootflags:+$imgboot_rootflags,}$options" "$1" 'the root file system' rootflags
  imgboot_mount_usr "$1"
  [ -z "$imgboot_overlay" ] || imgboot_lay_over "$1"
}

# Checks the file system of imgboot_device before it is mounted: ext2 to ext4, where the initramfs has e2fsck; others
# check themselves when they are mounted.
imgboot_check_filesystem() {
  local flags words status
  case $imgboot_fsck_mode,$imgboot_fstype in
    skip,*) return 0 ;;
    *,ext2 | *,ext3 | *,ext4) ;;
    *) return 0 ;;
  esac
  command -v e2fsck > /dev/null || return 0
  case $imgboot_fsck_repair in
    yes) flags=-y ;;
    no) flags=-n ;;
    *) flags=-p ;;
  esac
  [ "$imgboot_fsck_mode" != force ] || flags="$flags -f"
  # shellcheck disable=SC2086
  words=$(e2fsck $flags "$imgboot_device" 2>&1)
  status=$?
  # e2fsck(8): 1 errors corrected, 2 and the machine should be restarted, 4 errors left, 8 and more: it could not.
  if [ "$status" -ge 8 ]; then
    imgboot_fallback "checking $imgboot_device was not possible: $words"
  elif [ "$((status & 4))" -ne 0 ]; then
    imgboot_fail "checking $imgboot_device" "$words" \
      'boot with fsck.repair=yes, or from another system run fsck; fsck.mode=skip mounts it as it is'
  elif [ "$status" -ne 0 ]; then
    imgboot_fallback "the file system on $imgboot_device had errors, which e2fsck mended: $words"
  fi
}

# Mounts a separate /usr as the root's fstab has it: many an init is there.
# $1: the new root
imgboot_mount_usr() {
  local spec point type options rest device="$imgboot_device" fstype="$imgboot_fstype" members="$imgboot_members"
  imgboot_resolve_inside "$1" /etc/fstab && [ -f "$1$imgboot_reply" ] || return 0
  while read -r spec point type options rest; do
    case $spec,$point in
      '#'*) ;;
      *,/usr | *,/usr/) break ;;
    esac
    point=
  done < "$1$imgboot_reply"
  [ -n "$point" ] && imgboot_resolve_inside "$1" /usr && [ -d "$1$imgboot_reply" ] || return 0
  set -- "$1$imgboot_reply"
  [ "$type" != auto ] || type=
  imgboot_mount_options "$options"
  options=$imgboot_reply
  case ,$options, in
    *,bind,* | *,rbind,* | *,noauto,*) return 0 ;;
  esac
  imgboot_wait_device "$spec" /etc/fstab "$type"
  imgboot_check_filesystem
  host_info "mounting /usr from $imgboot_device ($imgboot_fstype)"
  imgboot_mount_device "$options" "$1" /usr /etc/fstab
  imgboot_device=$device imgboot_fstype=$fstype imgboot_members=$members
}

# The options that mount(2) knows, of a line of fstab; read-only where the root is.
# $1: options with commas between
imgboot_mount_options() {
  local rest="$1," option list=''
  while [ -n "$rest" ]; do
    option=${rest%%,*}
    rest=${rest#*,}
    case $option in
      '' | defaults | auto | user | nouser | users | owner | group | nofail | _netdev | x-* | comment=*) ;;
      rw | ro) ;;
      *) list="$list,$option" ;;
    esac
  done
  case $imgboot_rootmode$imgboot_overlay,,$1, in
    rw,*,ro,*) imgboot_reply=ro$list ;;
    rw,*) imgboot_reply=rw$list ;;
    *) imgboot_reply=ro$list ;;
  esac
}

# Goes back into a system that was hibernated, if there is one; nothing has been mounted yet. What an ephemeral root
# would go back to, this boot is about to set aside.
imgboot_try_resume() {
  local why='' device="$imgboot_device" fstype="$imgboot_fstype" members="$imgboot_members" numbers
  [ -n "$imgboot_resume" ] && [ -z "$imgboot_noresume" ] || return 0
  case $imgboot_image$imgboot_deployment,$imgboot_writable,$imgboot_overlay in
    '',*,?*) why='this boot has an overlay' ;;
    '',* | *,persistent,* | *,previous,*) ;;
    *) why='the writable layer of this boot is made anew' ;;
  esac
  if [ -n "$why" ]; then
    imgboot_fallback "resume=$imgboot_resume is refused: $why, and a hibernated system would find another root than it left; hibernate with imgboot.writable=persistent, or take resume= out of the boot entry"
    return 0
  fi
  [ -w /sys/power/resume ] || return 0
  if ! imgboot_canonical_spec "$imgboot_resume" || ! imgboot_find_device "$imgboot_reply" ''; then
    imgboot_fallback "resume=$imgboot_resume is not there: going on without"
  elif [ "$imgboot_fstype" = swsuspend ] || [ -n "$imgboot_resume_offset" ]; then
    numbers=$(stat -L -c '0x%t 0x%T' "$imgboot_device")
    [ -z "$imgboot_resume_offset" ] || printf '%s' "$imgboot_resume_offset" > /sys/power/resume_offset
    host_info "resuming from $imgboot_device"
    # Comes back only where there is nothing to go back to.
    printf '%d:%d' "${numbers% *}" "${numbers#* }" > /sys/power/resume
  fi
  imgboot_device=$device imgboot_fstype=$fstype imgboot_members=$members
}
