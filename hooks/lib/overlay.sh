# shellcheck shell=dash disable=SC2034,SC2154
# rd.overlay=: an overlay over a root that is no image's, in RAM or on a device, with the words and the places of
# dracut-ng's module overlayfs. What cannot be had as asked is an overlay in RAM, and that is said.

# rd.overlay= (empty: none; 1: in RAM), rd.overlay.readonly, rd.overlay.reset, rd.overlay.crypt=
imgboot_overlay=
imgboot_overlay_readonly=
imgboot_overlay_reset=
imgboot_overlay_crypt=
# What the overlay lies on, for the report.
imgboot_overlay_got=
# On a device: the directory with overlay/ and ovlwork/.
imgboot_overlay_dir=

# Takes a word of the command line.
# $1: the word  $2: its value
imgboot_take_overlay_parameter() {
  case $1 in
    rd.overlay=0 | rd.overlay=no | rd.overlay=off | rd.overlay=none) imgboot_overlay= ;;
    rd.overlay | rd.overlay=1 | rd.overlay=yes | rd.overlay=on) imgboot_overlay=1 ;;
    rd.overlay=tmpfs:*[!A-Za-z0-9=,%_]*) imgboot_refuse_parameter "$1" 'has other options than size=, nr_blocks=, nr_inodes=' ;;
    rd.overlay=tmpfs:?* | rd.overlay=/dev/?* | rd.overlay=LABEL=?* | rd.overlay=UUID=?* | rd.overlay=PARTLABEL=?* | rd.overlay=PARTUUID=?*)
      imgboot_overlay=$2
      ;;
    rd.overlay.readonly | rd.overlay.readonly=1 | rd.overlay.readonly=yes) imgboot_overlay_readonly=1 ;;
    rd.overlay.readonly=*) imgboot_overlay_readonly= ;;
    rd.overlay.reset | rd.overlay.reset=1 | rd.overlay.reset=yes) imgboot_overlay_reset=1 ;;
    rd.overlay.reset=*) imgboot_overlay_reset= ;;
    rd.overlay.crypt=?*)
      imgboot_overlay_crypt=$2
      imgboot_overlay=${imgboot_overlay:-1}
      ;;
    *) imgboot_refuse_parameter "$1" 'is none of 0, 1, tmpfs:OPTIONS, LABEL=, UUID=, PARTLABEL=, PARTUUID=, /dev/...' ;;
  esac
}

# Puts the overlay over the root that is mounted.
# $1: where
imgboot_lay_over() {
  local upper work lower=/run/rootfsbase
  host_load_module overlay
  mkdir -p /run/rootfsbase
  # With what is mounted in it (/usr).
  imgboot_try_overlay 'setting the root aside' mount --rbind "$1" /run/rootfsbase
  imgboot_open_overlay
  if [ -n "$imgboot_overlay_dir" ]; then
    upper=$imgboot_overlay_dir/overlay
    work=$imgboot_overlay_dir/ovlwork
    if [ -n "$imgboot_overlay_readonly" ]; then
      lower=$upper:$lower
      imgboot_overlay_got="$imgboot_overlay_got, read-only under one in RAM"
    fi
  else
    imgboot_overlay_got=RAM
  fi
  if [ -z "$imgboot_overlay_dir" ] || [ -n "$imgboot_overlay_readonly" ]; then
    imgboot_make_ram_overlay
    upper=/run/overlayfs-ram/overlay
    work=/run/overlayfs-ram/ovlwork
  fi
  imgboot_try_overlay 'mounting the overlay' mount -t overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" LiveOS_rootfs "$1"
  # An overlay shows only the file system that it lies on.
  [ ! -d /run/rootfsbase/usr ] || ! mountpoint -q /run/rootfsbase/usr \
    || imgboot_try_overlay 'mounting /usr over the overlay' mount --bind /run/rootfsbase/usr "$1/usr"
  host_info "the root has an overlay on $imgboot_overlay_got"
}

# $1: what it does, for the message  $@: the command
imgboot_try_overlay() {
  local what="$1" error
  shift
  error=$("$@" 2>&1) || imgboot_fail "$what" "$error" 'boot with rd.overlay=0, or with rd.overlay=1 to have it in RAM'
}

imgboot_make_ram_overlay() {
  local options='mode=0755' asked="${imgboot_overlay#tmpfs:}"
  [ "$asked" = "$imgboot_overlay" ] || options="$options,$asked"
  mkdir -p /run/overlayfs-ram
  imgboot_try_overlay 'making the overlay in RAM' mount -t tmpfs -o "$options" overlayfs-ram /run/overlayfs-ram
  mkdir -m 0755 /run/overlayfs-ram/overlay /run/overlayfs-ram/ovlwork
}

# Opens the device that the overlay is to lie on, if one is asked for; leaves its directory in imgboot_overlay_dir.
imgboot_open_overlay() {
  local device="$imgboot_device" fstype="$imgboot_fstype" members="$imgboot_members" path='' found='' type=''
  imgboot_overlay_dir=
  if [ -n "$imgboot_overlay_crypt" ]; then
    imgboot_open_crypt_overlay && found=$imgboot_reply
  else
    case $imgboot_overlay in
      1 | tmpfs:*) return 0 ;;
    esac
    imgboot_split_overlay
    path=$imgboot_overlay_path
    imgboot_look_for "$imgboot_reply" "$imgboot_timeout" && found=$imgboot_device
  fi
  if [ -n "$found" ]; then
    type=$(blkid -p -o value -s TYPE "$found")
    imgboot_use_overlay_device "$found" "$type" "$path"
  else
    imgboot_fallback "rd.overlay${imgboot_overlay_crypt:+.crypt}=${imgboot_overlay_crypt:-$imgboot_overlay} cannot be had: ${imgboot_overlay_why:-no such device came}; what is written is lost at power-off"
  fi
  imgboot_device=$device imgboot_fstype=$fstype imgboot_members=$members
}

# Splits DEVICE:PATH; the device is left in imgboot_reply. Names in /dev/disk/by-path have colons, too.
imgboot_split_overlay() {
  imgboot_overlay_path=
  imgboot_reply=$imgboot_overlay
  case $imgboot_overlay in
    *:/*)
      imgboot_overlay_path=${imgboot_overlay#*:}
      imgboot_reply=${imgboot_overlay%%:/*}
      ;;
  esac
}

# Waits for a device, but does not stop the boot. Status 1: it did not come.
# $1: specification  $2: seconds; those that any device has where empty
imgboot_look_for() {
  local spec limit end
  imgboot_canonical_spec "$1" || return 1
  spec=$imgboot_reply
  imgboot_wait_limit
  limit=${2:-$imgboot_reply}
  imgboot_now
  end=$((imgboot_reply + limit * 1000))
  while :; do
    imgboot_find_device "$spec" '' && return 0
    host_load_hardware
    imgboot_open_layers && continue
    imgboot_now
    [ "$imgboot_reply" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# Mounts the device and prepares its directories.
# $1: device  $2: type  $3: directory on it, or empty
imgboot_use_overlay_device() {
  local top=/run/overlayfs-backing error
  mkdir -p "$top"
  host_load_module "${2:-none}"
  if [ -n "$imgboot_overlay_readonly" ]; then
    error=$(mount -t "${2:-none}" -o ro "$1" "$top" 2>&1)
  else
    error=$(mount -t "${2:-none}" -o rw "$1" "$top" 2>&1)
  fi || {
    imgboot_fallback "the overlay's device $1 (${2:-no file system}) cannot be mounted: $error; what is written is lost at power-off"
    return 0
  }
  if ! imgboot_is_plain_path "$top" "/${3%/*}"; then
    imgboot_fallback "the overlay's path $3 on $1 leads through a symbolic link; what is written is lost at power-off"
    return 0
  fi
  top=$top$imgboot_reply
  imgboot_reset_overlay "$top"
  [ -n "$imgboot_overlay_readonly" ] || mkdir -p "$top/overlay" "$top/ovlwork" 2> /dev/null
  if [ -d "$top/overlay" ] && [ ! -L "$top/overlay" ] && [ ! -L "$top/ovlwork" ]; then
    imgboot_overlay_dir=$top
    imgboot_overlay_got=$1
  else
    imgboot_fallback "there is no overlay on $1, and none can be made; what is written is lost at power-off"
  fi
}

# Empties the overlay, as rd.overlay.reset asks. A directory that no overlay was made of (it has no ovlwork beside it)
# is somebody else's.
# $1: the directory with overlay/ and ovlwork/
imgboot_reset_overlay() {
  [ -n "$imgboot_overlay_reset" ] && [ -e "$1/overlay" ] || return 0
  if [ -n "$imgboot_overlay_readonly" ]; then
    imgboot_fallback 'rd.overlay.reset is passed over: rd.overlay.readonly leaves the overlay as it is'
  elif [ -L "$1/overlay" ] || [ ! -d "$1/ovlwork/work" ]; then
    imgboot_fallback 'rd.overlay.reset is passed over: the directory overlay/ was never an overlay (there is no ovlwork/work beside it)'
  else
    # Old or empty, never half: the name is free at once.
    rm -rf "$1/overlay.old" && mv "$1/overlay" "$1/overlay.old" && rm -rf "$1/ovlwork" "$1/overlay.old"
    host_info 'the overlay is empty, as rd.overlay.reset asks'
  fi
}

# Unlocks rd.overlay.crypt=, or makes it on a device that is empty. Status 1: not possible; imgboot_overlay_why says why.
# The opened device is left in imgboot_reply.
imgboot_open_crypt_overlay() {
  local rest="${imgboot_overlay_crypt#*,}," word name=overlay-crypt type=ext4 makes=1 timeout="$imgboot_timeout" device words
  [ "${imgboot_overlay_crypt%%,*}" != "$imgboot_overlay_crypt" ] || rest=
  imgboot_overlay_why=
  while [ -n "$rest" ]; do
    word=${rest%%,*}
    rest=${rest#*,}
    case $word in
      mapname=*[!A-Za-z0-9_.+-]* | timeout=*[!0-9]*) imgboot_overlay_why="$word makes no sense" ;;
      mapname=?*) name=${word#*=} ;;
      fstype=ext2 | fstype=ext3 | fstype=ext4) type=${word#*=} ;;
      mkfs=0 | mkfs=1) makes=${word#*=} ;;
      timeout=?*) timeout=${word#*=} ;;
      *) imgboot_overlay_why="$word is no option of rd.overlay.crypt" ;;
    esac
  done
  [ -z "$imgboot_overlay_why" ] || return 1
  if [ -b "/dev/mapper/$name" ]; then
    imgboot_reply=/dev/mapper/$name
    return 0
  fi
  imgboot_look_for "${imgboot_overlay_crypt%%,*}" "$timeout" || return 1
  device=$imgboot_device
  imgboot_has_program cryptsetup 'an encrypted overlay' || return 1
  host_load_module dm_crypt
  words=$(blkid -p -o export "$device" 2>&1)
  # blkid(8): 2 is for nothing found, 8 for too much.
  case $?,$words in
    0,*TYPE=crypto_LUKS*)
      imgboot_luks_name=$name imgboot_luks_key='' imgboot_luks_keydev='' imgboot_luks_flags=''
      imgboot_luks_open "$device" || return 1
      ;;
    2,)
      [ "$makes" = 1 ] || {
        imgboot_overlay_why="$device is empty, and mkfs=0 forbids to make one"
        return 1
      }
      imgboot_make_crypt_overlay "$device" "$name" "$type" || return 1
      ;;
    *)
      imgboot_overlay_why="$device holds something else ($(printf '%s' "$words" | tr '\n' ' ')), which is not destroyed; empty it with wipefs --all"
      return 1
      ;;
  esac
  imgboot_reply=/dev/mapper/$name
}

# Encrypts an empty device by a random passphrase, which is left where dracut leaves it, and makes a file system in it.
# $1: device  $2: name  $3: file system
imgboot_make_crypt_overlay() {
  local file=/run/initramfs/overlayfs.passwd make="$imgboot_bin/mke2fs"
  if [ ! -x "$make" ] || [ "$(readlink -f "$make")" = "$(readlink -f "$imgboot_bin/busybox")" ]; then
    imgboot_overlay_why='the initramfs has no mke2fs (e2fsprogs)'
    return 1
  fi
  mkdir -p /run/initramfs
  (umask 077 && od -An -v -tx1 -N 32 /dev/urandom | tr -d ' \n' > "$file")
  imgboot_overlay_why=$(cryptsetup --batch-mode luksFormat --type luks2 --pbkdf pbkdf2 --key-file "$file" "$1" 2>&1) || return 1
  imgboot_overlay_why=$(cryptsetup open --type luks --key-file "$file" "$1" "$2" 2>&1) || return 1
  imgboot_overlay_why=$("$make" -q -t "$3" "/dev/mapper/$2" 2>&1) || return 1
}
