# shellcheck shell=dash disable=SC2034,SC2154
# What may lie between a root's file system and its disks: md, LVM, LUKS, in any order. While a device is waited for,
# what is seen of them is opened, again and again, until the device is there.
#
# A generator that opens them itself leaves imgboot_opens_layers unset or empty.

# The devices that were last looked at for layers; when the waiting began, and how long it is until one does without
# what has not come (milliseconds).
imgboot_layers_devices=unknown
imgboot_layers_since=0
imgboot_layers_patience=15000
# Parameters of layers that are not known, between blanks.
imgboot_passed_over=
# Programs that were missed, between blanks.
imgboot_missed=' '
# What was awaited by name, and did not come in time.
imgboot_layers_given_up=

# Begins the time that layers have to come.
# $1: now  $2: seconds that a device is waited for; 0 for ever
imgboot_await_layers() {
  if [ -n "${imgboot_opens_layers-}" ] && [ -n "$imgboot_passed_over" ]; then
    imgboot_fallback "passed over on the kernel command line, since this initramfs does not know it:$imgboot_passed_over"
    imgboot_passed_over=
  fi
  imgboot_layers_since=$1
  [ "$2" -eq 0 ] || imgboot_layers_patience=$(($2 * 500))
}

# Looks at the devices that are there and opens what can be opened. Status 1: nothing was.
imgboot_open_layers() {
  local device uuid
  [ -n "${imgboot_opens_layers-}" ] || return 1
  imgboot_list_devices
  if [ "$imgboot_reply" != "$imgboot_layers_devices" ]; then
    imgboot_layers_devices=$imgboot_reply
    [ "$imgboot_reply" = "$imgboot_probed" ] || imgboot_probe_devices
    imgboot_list_layers > "$imgboot_run/layers"
  fi
  # An array that waits for a disk holds those it has: they are no longer looked at.
  [ -s "$imgboot_run/layers" ] || [ "$imgboot_md_seen" != ' ' ] || return 1
  # People are asked last.
  imgboot_open_arrays && return 0
  imgboot_open_volumes && return 0
  if [ -n "$imgboot_luks" ]; then
    # Another descriptor: what is asked for is read from the console.
    while read -r device uuid <&3; do
      [ -n "$device" ] && imgboot_luks_unlock "$device" "$uuid" && return 0
    done 3<< EOF
$(imgboot_layers_of crypto_LUKS)
EOF
  fi
  return 1
}

# A line for each device that is a part of a layer: its type, path, and UUID.
imgboot_list_layers() {
  local line device='' type='' uuid=''
  while IFS= read -r line; do
    case $line in
      DEVNAME=*) device=${line#*=} type='' uuid='' ;;
      TYPE=*) type=${line#*=} ;;
      UUID=*) uuid=${line#*=} ;;
      '')
        case $device,$type in
          ,*) ;;
          *,crypto_LUKS | *,LVM2_member | *,linux_raid_member) printf '%s %s %s\n' "$type" "$device" "$uuid" ;;
        esac
        device=
        ;;
    esac
  done < "$imgboot_run/devices"
}

# The devices of one type, with their UUIDs, a line each.
# $1: type
imgboot_layers_of() {
  local type device uuid
  while read -r type device uuid; do
    [ "$type" != "$1" ] || printf '%s %s\n' "$device" "$uuid"
  done < "$imgboot_run/layers"
}

# Whether something that was asked for by name is still to be opened; then the device is not looked for yet.
imgboot_layers_are_awaited() {
  [ -n "${imgboot_opens_layers-}" ] && [ -z "$imgboot_layers_given_up" ] && imgboot_luks_is_awaited
}

# Goes on without what was asked for by name.
# $1: seconds that it was waited for
imgboot_give_up_layers() {
  imgboot_layers_given_up=1
  imgboot_fallback "of what rd.luks.* or the crypttab names, something did not come within $1 seconds"
}

# Notes a parameter of a kind that is ours, and that this initramfs does not know: dracut does without it, too.
# $1: the word
imgboot_pass_over_parameter() {
  imgboot_passed_over="$imgboot_passed_over $1"
}

# Whether the initramfs has a program; says so, once, where it has not.
# $1: program  $2: what it is needed for
imgboot_has_program() {
  command -v "$1" > /dev/null && return 0
  case $imgboot_missed in
    *" $1 "*) return 1 ;;
  esac
  imgboot_missed="$imgboot_missed$1 "
  imgboot_fallback "$2 is not possible: the initramfs has no $1 (install it in the image, and make the initramfs again)"
  return 1
}
