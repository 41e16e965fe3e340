# shellcheck shell=dash disable=SC2034,SC2154
# md RAID and LVM: arrays are put together disk by disk, and volumes when their disks are there.

# rd.md=0, the UUIDs of rd.md.uuid=; rd.lvm=0, the names of rd.lvm.vg= and rd.lvm.lv=; each between blanks.
imgboot_md=1
imgboot_md_uuids=
imgboot_lvm=1
imgboot_lvm_groups=
imgboot_lvm_volumes=
# The disks that mdadm has had, between blanks; the physical volumes that lvm saw last.
imgboot_md_seen=' '
imgboot_lvm_seen=
# What the last lvm said.
imgboot_lvm_words=
# Without udev and without daemons; and what checks thin pools is not here.
imgboot_lvm_config='activation { udev_sync=0 udev_rules=0 monitoring=0 } devices { obtain_device_list_from_udev=0 } global { thin_check_executable="" cache_check_executable="" }'

# Takes a word of the command line, if it is one of these.
# $1: the word  $2: its value
imgboot_take_volume_parameter() {
  case $1 in
    rd.md=0 | rd.md=no) imgboot_md= ;;
    rd.md=1 | rd.md=yes) imgboot_md=1 ;;
    rd.md.uuid=*)
      imgboot_md_uuid "$2"
      imgboot_take_word "$1" "$imgboot_reply" '*[!0-9a-f]*' 'a UUID' && imgboot_md_uuids="$imgboot_md_uuids $imgboot_reply "
      ;;
    rd.lvm=0 | rd.lvm=no) imgboot_lvm= ;;
    rd.lvm=1 | rd.lvm=yes) imgboot_lvm=1 ;;
    rd.lvm.vg=-* | rd.lvm.lv=-*) imgboot_refuse_parameter "$1" 'is no name of LVM' ;;
    rd.lvm.vg=*)
      imgboot_take_word "$1" "$2" '*[!A-Za-z0-9_.+-]*' 'a name of a volume group' && imgboot_lvm_groups="$imgboot_lvm_groups $2"
      ;;
    rd.lvm.lv=*/*)
      imgboot_take_word "$1" "$2" '*[!A-Za-z0-9_.+/-]*' 'GROUP/VOLUME' && imgboot_lvm_volumes="$imgboot_lvm_volumes $2"
      ;;
    rd.lvm.lv=*) imgboot_refuse_parameter "$1" 'is not GROUP/VOLUME' ;;
    *) imgboot_pass_over_parameter "$1" ;;
  esac
}

# A UUID of md as it is compared: 33333333:33333333:33333333:33333333 and 33333333-3333-3333-3333-333333333333 are one.
# $1: UUID
imgboot_md_uuid() {
  local rest="$1" digits=''
  while [ -n "$rest" ]; do
    digits=$digits${rest%%[:-]*}
    case $rest in
      *[:-]*) rest=${rest#*[:-]} ;;
      *) rest= ;;
    esac
  done
  imgboot_lower "$digits"
}

# Gives mdadm the disks that it has not had, and starts, when its time has come, what lacks one. Status 1: nothing new.
imgboot_open_arrays() {
  local device uuid status=1
  [ -n "$imgboot_md" ] || return 1
  while read -r device uuid <&3; do
    case $imgboot_md_seen in
      *" $device "*) continue ;;
    esac
    [ -n "$device" ] || continue
    imgboot_md_seen="$imgboot_md_seen$device "
    imgboot_md_uuid "$uuid"
    case $imgboot_md_uuids in
      '' | *" $imgboot_reply "*) ;;
      *) continue ;;
    esac
    imgboot_has_program mdadm "putting $device into its array" || continue
    host_load_module md_mod
    mdadm --incremental "$device" > /dev/null 2>&1
    status=0
  done 3<< EOF
$(imgboot_layers_of linux_raid_member)
EOF
  [ "$status" -eq 0 ] || imgboot_start_degraded
}

# Starts the arrays that wait for a disk, when they have waited long enough. Status 1: there was none.
imgboot_start_degraded() {
  local state file name status=1
  imgboot_now
  [ "$imgboot_reply" -ge "$((imgboot_layers_since + imgboot_layers_patience))" ] || return 1
  for file in /sys/class/block/md*/md/array_state; do
    state=
    read -r state 2> /dev/null < "$file"
    [ "$state" = inactive ] || continue
    name=${file#/sys/class/block/}
    name=${name%%/*}
    case $imgboot_md_seen in
      *" started-$name "*) continue ;;
    esac
    imgboot_md_seen="${imgboot_md_seen}started-$name "
    mdadm --run "/dev/$name" > /dev/null 2>&1
    status=0
  done
  return "$status"
}

# Says which arrays run without all their disks.
imgboot_tell_degraded() {
  local file count name
  for file in /sys/class/block/md*/md/degraded; do
    count=0
    read -r count 2> /dev/null < "$file"
    [ "${count:-0}" -ne 0 ] || continue
    name=${file#/sys/class/block/}
    imgboot_fallback "the array /dev/${name%%/*} lacks $count of its disks and runs without (cat /proc/mdstat; mdadm --add)"
  done
}

# Activates the volumes of the physical volumes that are there. Status 1: nothing new.
imgboot_open_volumes() {
  local seen before name
  [ -n "$imgboot_lvm" ] || return 1
  seen=$(imgboot_layers_of LVM2_member)
  [ "$seen" != "$imgboot_lvm_seen" ] || return 1
  imgboot_lvm_seen=$seen
  [ -n "$seen" ] || return 1
  imgboot_has_program lvm 'activating LVM' || return 1
  host_load_module dm_mod
  imgboot_list_devices
  before=$imgboot_reply
  imgboot_lvm_words=
  if [ -n "$imgboot_lvm_groups$imgboot_lvm_volumes" ]; then
    for name in $imgboot_lvm_volumes; do
      imgboot_run_lvm lvchange "$name"
    done
    for name in $imgboot_lvm_groups; do
      imgboot_run_lvm vgchange "$name"
    done
  else
    imgboot_run_lvm vgchange
  fi
  imgboot_list_devices
  [ "$imgboot_reply" != "$before" ]
}

# $1: lvchange or vgchange  $2: name; all groups without
imgboot_run_lvm() {
  local command="$1" words
  shift
  words=$(lvm "$command" --config "$imgboot_lvm_config" --sysinit -ay "$@" 2>&1) || imgboot_lvm_words="$imgboot_lvm_words$words; "
}
