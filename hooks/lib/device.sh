# shellcheck shell=dash disable=SC2034,SC2154
# Block devices: the one that a specification names, waited for; its file system, mounted.

# What imgboot_find_device and imgboot_wait_device answer with: the device, its file system's type, and, of a
# btrfs of several devices, the other members.
imgboot_device=
imgboot_fstype=
imgboot_members=
# The devices that the last look was for, as imgboot_list_devices has them, and those of the last that also looked at
# what they hold.
imgboot_devices=
imgboot_probed=
# What the last look at the devices saw, in words, for a message.
imgboot_seen=
# When the waiting for a device ends, in milliseconds since the kernel started.
imgboot_deadline=0

# Waits until a device answers to the specification, as long as the command line allows; more than one is a failure.
# A path or UUID that is there already is taken at once. A label is looked for when all hardware has been looked at:
# people give two disks the same.
# $1: /dev/..., LABEL=, UUID=, PARTLABEL= or PARTUUID=  $2: the parameter, or file, it comes from  $3: its file system's type, if given
imgboot_wait_device() {
  local spec limit known=''
  imgboot_canonical_spec "$1" \
    || imgboot_fail "$2=$1" 'this is no device that the initramfs knows to find' \
      'name it by its path in /dev, or by LABEL=, UUID=, PARTLABEL= or PARTUUID='
  spec=$imgboot_reply
  imgboot_name_asker "$2"
  imgboot_wait_limit
  limit=$imgboot_reply
  imgboot_now
  imgboot_deadline=$((imgboot_reply + limit * 1000))
  imgboot_await_layers "$imgboot_reply" "$limit"
  case $spec in
    *LABEL=*) host_load_hardware ;;
  esac
  while :; do
    imgboot_list_devices
    if [ "$imgboot_reply" != "$known" ]; then
      known=$imgboot_reply
      imgboot_layers_are_awaited || { imgboot_take_device "$spec" "$2=$1" "$3" && return 0; }
    fi
    host_load_hardware
    imgboot_list_devices
    [ "$imgboot_reply" = "$known" ] || continue
    if imgboot_open_layers; then
      # What has come may make another device the one that is meant.
      known=
      continue
    fi
    imgboot_now
    if [ "$limit" -ne 0 ] && [ "$imgboot_reply" -ge "$imgboot_deadline" ]; then
      if imgboot_layers_are_awaited; then
        imgboot_give_up_layers "$limit"
        known=
        continue
      fi
      imgboot_describe_devices
      imgboot_fail "waiting for $2=$1" "no such device came within $limit seconds; seen: $imgboot_seen" \
        "correct $imgboot_asker, or wait longer with rd.timeout=SECONDS"
    fi
    sleep 0.05
  done
}

# Puts into words who names a device or its options.
# $1: a parameter, or the path of a file
imgboot_name_asker() {
  case $1 in
    /*) imgboot_asker="$1 of the root" ;;
    *) imgboot_asker="$1= in the boot entry" ;;
  esac
}

# Finds a device now; more than one is a failure. Status 1: none.
# $1: canonical specification  $2: how it was given  $3: its file system's type, if given
imgboot_take_device() {
  imgboot_find_device "$1" "$3"
  case $? in
    0)
      imgboot_name_device
      return 0
      ;;
    1) return 1 ;;
  esac
  imgboot_fail "looking for $2" "more than one device answers to it: $imgboot_reply" \
    'name the one that is meant by UUID= or PARTUUID=, or take the other away'
}

# Names a device of device mapper as its users do: /dev/mapper/NAME for /dev/dm-N.
imgboot_name_device() {
  local name=''
  case $imgboot_device in
    /dev/dm-*) read -r name 2> /dev/null < "/sys/class/block/${imgboot_device#/dev/}/dm/name" ;;
  esac
  [ ! -b "/dev/mapper/$name" ] || imgboot_device=/dev/mapper/$name
}

# The path by which the kernel knows a device that may have several.
# $1: path
imgboot_kernel_path() {
  local numbers
  imgboot_reply=$1
  [ ! -e "/sys/class/block/${1#/dev/}" ] && [ -b "$1" ] || return 0
  numbers=$(stat -L -c '0x%t 0x%T' "$1")
  numbers=/sys/dev/block/$((${numbers% *})):$((${numbers#* }))
  [ ! -e "$numbers" ] || imgboot_reply=/dev/$(basename "$(readlink -f "$numbers")")
}

# Looks again, just before the new root gets the machine, whether a device that came late answers to root=, too.
imgboot_confirm_root() {
  local device="$imgboot_device" fstype="$imgboot_fstype" members="$imgboot_members"
  imgboot_list_devices
  [ "$imgboot_reply" != "$imgboot_devices" ] || return 0
  imgboot_canonical_spec "$imgboot_root"
  imgboot_take_device "$imgboot_reply" "root=$imgboot_root" "$fstype" || :
  imgboot_device=$device imgboot_fstype=$fstype imgboot_members=$members
}

# Seconds to wait: rd.timeout= (0 is for ever, as dracut has it), rd.retry=, rootdelay=, or 30.
imgboot_wait_limit() {
  imgboot_reply=${imgboot_timeout:-${imgboot_retry:-${imgboot_rootdelay:-30}}}
}

# One form for each way to name a device: udev's links by label and UUID are not there, but what they mean is known.
# $1: specification
imgboot_canonical_spec() {
  local value="${1#*=}"
  case $1 in
    /dev/*..*) return 1 ;;
    /dev/disk/by-label/?*) imgboot_udev_decode "${1#/dev/disk/by-label/}" && imgboot_reply="LABEL=$imgboot_reply" ;;
    /dev/disk/by-partlabel/?*)
      imgboot_udev_decode "${1#/dev/disk/by-partlabel/}" && imgboot_reply="PARTLABEL=$imgboot_reply"
      ;;
    /dev/disk/by-uuid/?*) imgboot_canonical_spec "UUID=${1#/dev/disk/by-uuid/}" ;;
    /dev/disk/by-partuuid/?*) imgboot_canonical_spec "PARTUUID=${1#/dev/disk/by-partuuid/}" ;;
    /dev/?*) imgboot_reply=$1 ;;
    LABEL=?* | PARTLABEL=?*) imgboot_reply=$1 ;;
    UUID=?* | PARTUUID=?*) imgboot_lower "$value" && imgboot_reply="${1%%=*}=$imgboot_reply" ;;
    *) return 1 ;;
  esac
}

# The devices there are, without those that cannot hold a file system, as paths between blanks.
imgboot_list_devices() {
  local entry name size list=''
  for entry in /sys/class/block/*; do
    name=${entry##*/}
    case $name in
      '*' | loop* | ram* | zram* | fd[0-9]*) continue ;;
    esac
    size=0
    read -r size 2> /dev/null < "$entry/size"
    [ "$size" != 0 ] || continue
    # The kernel writes the slash of cciss/c0d0 as "!" in sysfs.
    case $name in
      *!*) name=${name%%!*}/${name#*!} ;;
    esac
    list="$list /dev/$name"
  done
  imgboot_reply=$list
}

# Finds the device of a canonical specification among those that are there now.
# Status 1: none. Status 2: more than one, named in imgboot_reply.
# $1: specification  $2: its file system's type, if given
imgboot_find_device() {
  imgboot_members=
  case $1 in
    /*)
      [ -b "$1" ] || return 1
      imgboot_device=$1
      imgboot_fstype=$2
      imgboot_list_devices
      # Nothing is left to learn of a device whose type is given, but that a btrfs has other members.
      case $2,$imgboot_reply in
        ,* | btrfs,*' '*' '*) ;;
        *)
          imgboot_devices=$imgboot_reply
          return 0
          ;;
      esac
      imgboot_probe_devices
      imgboot_match_path "$1"
      ;;
    *)
      imgboot_probe_devices
      imgboot_match_name "${1%%=*}" "${1#*=}"
      ;;
  esac
}

# Reads what every device holds into /run/imgboot/devices, by one blkid for all.
imgboot_probe_devices() {
  local list='' entry
  imgboot_list_devices
  imgboot_devices=$imgboot_reply
  imgboot_probed=$imgboot_reply
  for entry in $imgboot_reply; do
    # What is part of something bigger (md, dm) is found as that.
    set -- "/sys/class/block/${entry#/dev/}"/holders/*
    [ -e "$1" ] || list="$list $entry"
  done
  : > "$imgboot_run/devices"
  # The list has only names that the kernel gave.
  # shellcheck disable=SC2086
  [ -z "$list" ] || blkid -p -o export $list > "$imgboot_run/devices" 2> /dev/null
  # The blank line ends the last entry.
  printf '\n' >> "$imgboot_run/devices"
}

# Completes what is known of a device that was named by its path: the type, and the other members of its btrfs.
# $1: path
imgboot_match_path() {
  local line device='' type='' uuid='' found_uuid=''
  imgboot_kernel_path "$1"
  set -- "$imgboot_reply"
  while IFS= read -r line; do
    case $line in
      DEVNAME=*) device=${line#*=} type='' uuid='' ;;
      TYPE=*) type=${line#*=} ;;
      UUID=*) uuid=${line#*=} ;;
      '')
        if [ "$device" = "$1" ]; then
          imgboot_fstype=${imgboot_fstype:-$type}
          found_uuid=$uuid
        fi
        device=
        ;;
    esac
  done < "$imgboot_run/devices"
  [ "$imgboot_fstype" = btrfs ] && [ -n "$found_uuid" ] && imgboot_match_members "$found_uuid" "$1"
  return 0
}

# The devices of one btrfs, without the one that is mounted.
# $1: its UUID  $2: the device that is known
imgboot_match_members() {
  local line device=''
  while IFS= read -r line; do
    case $line in
      DEVNAME=*) device=${line#*=} ;;
      UUID="$1") [ "$device" = "$2" ] || imgboot_members="$imgboot_members $device" ;;
    esac
  done < "$imgboot_run/devices"
}

# Finds the device with a label or UUID. Several members of one btrfs are one device; two of anything else,
# or two copies of one member, are not.
# $1: LABEL, UUID, PARTLABEL or PARTUUID  $2: its value
imgboot_match_name() {
  local line device='' type='' uuid='' sub='' value='' key
  local first='' first_type='' first_uuid='' subs='' others='' twice=''
  case $1 in
    PARTLABEL) key=PART_ENTRY_NAME ;;
    PARTUUID) key=PART_ENTRY_UUID ;;
    *) key=$1 ;;
  esac
  # Without -r on purpose: read undoes blkid's backslashes.
  # shellcheck disable=SC2162
  while IFS= read line; do
    case $line in
      DEVNAME=*) device=${line#*=} type='' uuid='' sub='' value='' ;;
      TYPE=*) type=${line#*=} ;;
      UUID_SUB=*) sub=${line#*=} ;;
    esac
    case $line in
      UUID=*) uuid=${line#*=} ;;
    esac
    case $line in
      "$key="*) value=${line#*=} ;;
      '')
        case $1 in
          *UUID) imgboot_lower "$value" && value=$imgboot_reply ;;
        esac
        if [ -n "$device" ] && [ "$value" = "$2" ]; then
          if [ -z "$first" ]; then
            first=$device first_type=$type first_uuid=$uuid subs=" $sub "
          elif [ "$type" = btrfs ] && [ "$uuid" = "$first_uuid" ] && case $subs in *" $sub "*) false ;; esac then
            others="$others $device" subs="$subs$sub "
          else
            twice="$twice and $device"
          fi
        fi
        device=
        ;;
    esac
  done < "$imgboot_run/devices"
  [ -n "$first" ] || return 1
  imgboot_device=$first
  imgboot_fstype=$first_type
  imgboot_members=$others
  imgboot_reply=$first$twice
  [ -z "$twice" ] || return 2
}

# Puts the devices that were seen into words.
imgboot_describe_devices() {
  local line device='' words=''
  imgboot_seen=
  imgboot_list_devices
  if [ -z "$imgboot_reply" ]; then
    imgboot_seen='no block device at all (is its driver in the initramfs?)'
    return 0
  fi
  imgboot_probe_devices
  # shellcheck disable=SC2162
  while IFS= read line; do
    imgboot_printable "$line"
    case $line in
      DEVNAME=*) device=${line#*=} words='' ;;
      TYPE=* | LABEL=* | UUID=*) words="$words ${imgboot_reply#TYPE=}" ;;
      PART_ENTRY_NAME=*) words="$words PARTLABEL=${imgboot_reply#*=}" ;;
      PART_ENTRY_UUID=*) words="$words PARTUUID=${imgboot_reply#*=}" ;;
      '')
        [ -z "$device" ] || imgboot_seen="$imgboot_seen, $device (${words# })"
        device=
        ;;
    esac
  done < "$imgboot_run/devices"
  imgboot_list_devices
  for device in $imgboot_reply; do
    case "$imgboot_seen," in
      *", $device "*) ;;
      *) imgboot_seen="$imgboot_seen, $device (empty or unknown)" ;;
    esac
  done
  imgboot_seen=${imgboot_seen#, }${imgboot_lvm_words:+; lvm says: $imgboot_lvm_words}
}

# Mounts the file system that imgboot_wait_device found.
# $1: options  $2: where  $3: what it is, for the message  $4: the parameter, or file, that has the options
imgboot_mount_device() {
  local options="$1" member error deadline
  case $imgboot_fstype in
    crypto_LUKS | LVM2_member | linux_raid_member)
      imgboot_fail "mounting $3 $imgboot_device" "it holds $imgboot_fstype, which this initramfs cannot open" \
        'name the file system itself in the boot entry'
      ;;
    '')
      imgboot_fail "mounting $3 $imgboot_device" 'it holds no file system that blkid knows' \
        'check that it is the device that is meant'
      ;;
  esac
  for member in $imgboot_members; do
    options="$options,device=$member"
  done
  imgboot_wait_limit
  error=$imgboot_reply
  imgboot_now
  deadline=$((imgboot_reply + error * 1000))
  imgboot_name_asker "$4"
  while ! error=$(mount -t "$imgboot_fstype" -o "$options" "$imgboot_device" "$2" 2>&1); do
    imgboot_now
    # A btrfs may lack a member that is yet to come.
    if [ "$imgboot_fstype" != btrfs ] || [ "$imgboot_reply" -ge "$deadline" ] \
      || ! imgboot_lacks_member "$imgboot_device"; then
      imgboot_fail "mounting $3 $imgboot_device ($imgboot_fstype, $options)" "${error:-mount failed}" \
        "check $imgboot_asker, and the file system (btrfs check, fsck)"
    fi
    imgboot_open_layers || sleep 0.2
    host_load_hardware
    imgboot_probe_devices
    imgboot_members=
    imgboot_match_path "$imgboot_device"
    options=$1
    for member in $imgboot_members; do
      options="$options,device=$member"
    done
  done
}

# Whether the kernel knows too few members of a btrfs.
# $1: one of them
imgboot_lacks_member() {
  local count members
  # The superblock's num_devices: a 64-bit number at 64 KiB + 0x88.
  count=$(dd if="$1" bs=8 skip=$(((65536 + 136) / 8)) count=1 2> /dev/null | od -An -v -tu1 | tr -s ' ')
  # shellcheck disable=SC2086
  set -- $count
  # shellcheck disable=SC2086
  members=$(printf '%s\n' $imgboot_members | wc -w)
  [ "${1:-1}" -gt $((members + 1)) ]
}
