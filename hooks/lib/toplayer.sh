# shellcheck shell=dash disable=SC2034,SC2154
# The top layer: this machine's own files, from a device of its own or the root's, applied over an image.
# docs/boot.md says what it does to what is there already.

# Where it is mounted; its digest, and how many files it has (no directories).
imgboot_top_dir=
imgboot_top_digest=
imgboot_top_files=0
# The first top layer that has to be unmounted at the end.
imgboot_top_mounted=
# Whether what tar reads it through is there.
imgboot_top_reader=

# The accounts that are merged by name, unless this file at the top layer's root asks for plain replacement.
imgboot_account_files='passwd group shadow gshadow subuid subgid'
imgboot_replace_accounts=.imgboot-replace-accounts

# Mounts the top layer's device, read-only, and measures the layer.
imgboot_open_toplayer() {
  local root_device="$imgboot_device" root_fstype="$imgboot_fstype" root_members="$imgboot_members" mounted
  imgboot_wait_device "$imgboot_top" toplayer "$imgboot_topfstype"
  if [ "$imgboot_device" = "$root_device" ] && imgboot_shares_root_mount; then
    mounted="$imgboot_work/disk"
  else
    mounted="$imgboot_work/top"
    mkdir -p "$mounted"
    imgboot_read_options "${imgboot_topflags:+$imgboot_topflags,}ro,nodev,nosuid,noexec"
    imgboot_mount_device "$imgboot_reply" "$mounted" 'the top layer' toplayerflags
    imgboot_tell_journal
    imgboot_top_mounted=$mounted
  fi
  imgboot_is_plain_path "$mounted" "/$imgboot_toppath" \
    || imgboot_fail "opening toplayer_path=$imgboot_toppath on $imgboot_device" "$imgboot_reply is a symbolic link or .." \
      'name the directory itself'
  imgboot_top_dir=$mounted$imgboot_reply
  [ -d "$imgboot_top_dir" ] \
    || imgboot_fail "opening toplayer_path=$imgboot_toppath on $imgboot_device" 'there is no such directory' \
      'correct toplayer_path= in the boot entry'
  imgboot_device=$root_device imgboot_fstype=$root_fstype imgboot_members=$root_members
  imgboot_measure_toplayer
}

# Whether the top layer's device is seen through the root's mount as it would be through one of its own.
imgboot_shares_root_mount() {
  [ "$imgboot_topflags" = "$imgboot_rootflags" ] && return 0
  [ -z "$imgboot_topflags" ] || return 1
  case $imgboot_fstype,$imgboot_rootflags in
    btrfs,*subvol*) return 1 ;;
  esac
}

# The digest of a top layer: SHA-256 of what GNU tar (--format=posix, numeric owners, extended attributes, ACLs with
# numbers, no access and change times) makes of the paths below it, sorted bytewise, without lost+found and sockets.
imgboot_measure_toplayer() {
  imgboot_list_toplayer
  imgboot_top_digest=$(imgboot_stream_toplayer | sha256sum)
  imgboot_top_digest=sha256:${imgboot_top_digest%% *}
  [ ! -s "$imgboot_run/toperror" ] || imgboot_fail_reading_toplayer
  if [ -n "$imgboot_topdigest" ] && [ "$imgboot_topdigest" != "$imgboot_top_digest" ]; then
    imgboot_fail "checking the top layer against toplayer.digest=$imgboot_topdigest" "it is $imgboot_top_digest" \
      'put the right one there, or correct the digest in the boot entry'
  fi
}

# Lists what a top layer has, and sees to it that it can be streamed.
imgboot_list_toplayer() {
  case $(readlink -f "$imgboot_bin/tar") in
    '' | *busybox*)
      imgboot_fail 'reading the top layer' 'this initramfs has no GNU tar' 'make it again with imgboot mkinitramfs'
      ;;
  esac
  imgboot_open_reader
  imgboot_find_top -print0 | sort -z > "$imgboot_run/toplist"
  imgboot_find_top ! -type d -print0 > "$imgboot_run/topfiles"
  imgboot_top_files=$(grep -cz . "$imgboot_run/topfiles")
}

imgboot_fail_reading_toplayer() {
  local line
  IFS= read -r line < "$imgboot_run/toperror"
  line=${line#/tools/tar: }
  imgboot_fail "reading the top layer $imgboot_top $imgboot_toppath" "$line" 'check its file system (fsck)'
}

# $@: the expression that says what to print
imgboot_find_top() (
  cd "$imgboot_top_dir" \
    && find . -mindepth 1 ! -path ./lost+found ! -path './lost+found/*' ! -type s "$@"
)

# Shows the top layer in a root directory where there is nothing else but tar. There it knows no accounts: their names
# would come into ACLs, and each initramfs knows others.
imgboot_open_reader() {
  local reader="$imgboot_work/reader"
  [ -z "$imgboot_top_reader" ] || return 0
  imgboot_gather_tools
  mkdir -p "$reader/tools" "$reader/top"
  imgboot_try 'reading the top layer' mount --bind "$imgboot_work/tools" "$reader/tools"
  imgboot_try 'reading the top layer' mount --rbind "$imgboot_top_dir" "$reader/top"
  imgboot_top_reader=$reader
}

# Writes the top layer as a tar to standard output, always the same bytes; errors go to /run/imgboot/toperror.
imgboot_stream_toplayer() {
  LC_ALL=C chroot "$imgboot_top_reader" /tools/loader --inhibit-cache --library-path /tools /tools/tar \
    --directory=/top --create --file=- --format=posix \
    --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' --numeric-owner \
    --xattrs --xattrs-include='*' --acls --no-recursion --null --files-from=- < "$imgboot_run/toplist" \
    2> "$imgboot_run/toperror" || printf 'tar failed\n' >> "$imgboot_run/toperror"
}

# Applies the top layer to a root that nobody uses yet. The one that resolves its names is a tar whose own root
# directory is that root, so that no symbolic link of image or top layer leads out of it. Its program and libraries
# come from the initramfs, bound read-only under a name that nobody can guess.
# $1: the root
imgboot_apply_toplayer() {
  local tools busybox hash line preload=''
  imgboot_gather_tools
  read -r tools < /proc/sys/kernel/random/uuid
  tools=.imgboot-$tools
  busybox=/$tools/busybox
  imgboot_try 'opening the new root' mkdir -m 0700 "$1/$tools"
  imgboot_try 'opening the new root' mount --bind "$imgboot_work/tools" "$1/$tools"
  imgboot_try 'opening the new root' mount -o remount,bind,ro none "$1/$tools"

  imgboot_make_way "$1" "$busybox"
  imgboot_save_accounts "$1" "$busybox"
  # glibc's loader would load what the image names there into our tar.
  chroot "$1" "$busybox" mv /etc/ld.so.preload "/etc/$tools" 2> /dev/null && preload=1

  # The digest of what was applied is compared before anything is published.
  rm -f "$imgboot_run/topstream"
  mkfifo "$imgboot_run/topstream"
  sha256sum < "$imgboot_run/topstream" > "$imgboot_run/topapplied" &
  hash=$!
  imgboot_stream_toplayer | tee "$imgboot_run/topstream" | imgboot_extract "$1" "$tools"
  wait "$hash"
  [ ! -s "$imgboot_run/toperror" ] || imgboot_fail_reading_toplayer
  [ ! -s "$imgboot_run/applyerror" ] || imgboot_judge_apply_error
  read -r line _ < "$imgboot_run/topapplied"
  [ "sha256:$line" = "$imgboot_top_digest" ] \
    || imgboot_fail 'applying the top layer' 'it changed while it was read' 'boot again when nobody writes to it'

  imgboot_merge_saved_accounts "$1" "$busybox"
  # shellcheck disable=SC2016
  [ -z "$preload" ] || chroot "$1" "$busybox" sh -c \
    'if [ -e /etc/ld.so.preload ]; then "$0" rm -f "/etc/$1"; else "$0" mv "/etc/$1" /etc/ld.so.preload; fi' \
    "$busybox" "$tools"
  imgboot_try 'closing the new root' umount "$1/$tools"
  imgboot_try 'closing the new root' rmdir "$1/$tools"
}

# Puts what works inside a new root into /imgboot/tools: links in the initramfs may be absolute, and would lead into
# the image there.
imgboot_gather_tools() {
  local path
  [ ! -d "$imgboot_work/tools" ] || return 0
  mkdir -p "$imgboot_work/tools"
  imgboot_libraries_of "$imgboot_bin/tar" > "$imgboot_run/libraries"
  {
    # A host need not have it; only what works inside a root needs it.
    [ ! -e "$imgboot_bin/busybox" ] || readlink -f "$imgboot_bin/busybox"
    printf '%s\n' "$imgboot_bin/tar"
    cat "$imgboot_run/libraries"
  } | while read -r path; do
    case $path in
      */ld-*) cp -L "$path" "$imgboot_work/tools/loader" ;;
      *) cp -L "$path" "$imgboot_work/tools/" ;;
    esac
  done
}

# Extracts the top layer's tar from standard input; errors go to /run/imgboot/applyerror.
# $1: the root  $2: the directory of the tools in it
imgboot_extract() {
  LC_ALL=C chroot "$1" "/$2/loader" --inhibit-cache --library-path "/$2" "/$2/tar" --extract --file=- --absolute-names \
    --numeric-owner --same-owner --preserve-permissions --xattrs --xattrs-include='*' --acls \
    --keep-directory-symlink --warning=no-timestamp \
    --exclude='.wh.*' --anchored --exclude="./$imgboot_replace_accounts" 2> "$imgboot_run/applyerror" \
    || printf 'tar failed\n' >> "$imgboot_run/applyerror"
}

# The libraries that a program of the initramfs needs, and the loader at the end: paths, one a line.
# $1: the program
imgboot_libraries_of() {
  local loader
  for loader in /lib64/ld-*.so.* /lib/ld-*.so.* /usr/lib/ld-*.so.*; do
    [ -e "$loader" ] || continue
    "$loader" --list "$1" | while read -r _ arrow path _; do
      case $arrow,$path in
        '=>',/*) printf '%s\n' "$path" ;;
      esac
    done
    printf '%s\n' "$loader"
    return 0
  done
}

# Makes way inside the new root: deletes what a `.wh.` name names, and a directory where the top layer has something
# else. Applets are named by path: there is no /proc for busybox to find itself.
# $0: busybox  $@: paths of what the top layer has, directories excepted
# shellcheck disable=SC2016
imgboot_make_way_script='
for path; do
  directory=${path%/*}
  case ${path##*/} in
    .wh..wh..opq)
      if [ "$directory" = . ]; then
        printf "%s would delete the whole image\n" "$path"
      elif [ -d "$directory" ]; then
        # From inside: what is deleted may be a link on the way there.
        (cd "$directory" && "$0" find . -mindepth 1 -maxdepth 1 -exec "$0" rm -rf -- {} +)
      fi
      ;;
    .wh. | .wh.. | .wh...) printf "%s names nothing\n" "$path" ;;
    .wh.*) "$0" rm -rf -- "$directory/${path##*/.wh.}" ;;
    *) [ -L "$path" ] || [ ! -d "$path" ] || "$0" rm -rf -- "$path" ;;
  esac
done'

# $1: the root  $2: busybox inside it
imgboot_make_way() {
  local error
  # In one order, whatever the file system's: what is deleted may lie on the way to what is to be deleted.
  error=$(sort -z "$imgboot_run/topfiles" \
    | xargs -0 -r chroot "$1" "$2" sh -c "$imgboot_make_way_script" "$2" 2>&1)
  [ -z "$error" ] \
    || imgboot_fail 'deleting what the top layer takes out of the image' "$error" 'correct the top layer'
}

# Keeps the image's account files for the merge, where the top layer has its own.
# $1: the root  $2: busybox inside it
imgboot_save_accounts() {
  local file
  rm -rf "$imgboot_run/accounts"
  [ ! -e "$imgboot_top_dir/$imgboot_replace_accounts" ] && [ ! -L "$imgboot_top_dir/etc" ] || return 0
  for file in $imgboot_account_files; do
    if [ -f "$imgboot_top_dir/etc/$file" ] && [ ! -L "$imgboot_top_dir/etc/$file" ]; then
      mkdir -p "$imgboot_run/accounts"
      # The image's may be a symbolic link, and need not be a file.
      # shellcheck disable=SC2016
      chroot "$1" "$2" sh -c '[ ! -f "/etc/$1" ] || "$0" cat "/etc/$1"' "$2" "$file" \
        > "$imgboot_run/accounts/$file"
    fi
  done
}

# Puts the merged accounts into the files that the top layer brought: their owner and mode stay.
# $1: the root  $2: busybox inside it
imgboot_merge_saved_accounts() {
  local file time
  for file in $imgboot_account_files; do
    [ -f "$imgboot_run/accounts/$file" ] || continue
    imgboot_merge_accounts "$imgboot_run/accounts/$file" "$imgboot_top_dir/etc/$file" > "$imgboot_run/accounts/merged"
    time=$(stat -c %Y "$imgboot_top_dir/etc/$file")
    # shellcheck disable=SC2016
    chroot "$1" "$2" sh -c '"$0" cat > "/etc/$1" && "$0" touch -d "@$2" "/etc/$1"' "$2" "$file" "$time" \
      < "$imgboot_run/accounts/merged" \
      || imgboot_fail "merging etc/$file of the top layer into the image's" 'writing it failed' \
        'check that the file system has room'
  done
  rm -rf "$imgboot_run/accounts"
}

# Merges two account files by name: the image's order, the machine's lines where it has the name, and at the end the
# names that only the machine has. A name may have several lines (subuid).
# $1: the image's file  $2: the machine's
imgboot_merge_accounts() {
  local line name names=: done=:
  while IFS= read -r line || [ -n "$line" ]; do
    names=$names${line%%:*}:
  done < "$2"
  while IFS= read -r line || [ -n "$line" ]; do
    name=${line%%:*}
    case $name,$names in
      ,* | '#'*) printf '%s\n' "$line" ;;
      "$name",*":$name:"*)
        case $done in
          *":$name:"*) ;;
          *)
            done=$done$name:
            imgboot_lines_of "$name" "$2"
            ;;
        esac
        ;;
      *) printf '%s\n' "$line" ;;
    esac
  done < "$1"
  while IFS= read -r line || [ -n "$line" ]; do
    case $done in
      *":${line%%:*}:"*) ;;
      *) [ -z "$line" ] || printf '%s\n' "$line" ;;
    esac
  done < "$2"
}

# $1: a name  $2: an account file
imgboot_lines_of() {
  local line
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      "$1":* | "$1") printf '%s\n' "$line" ;;
    esac
  done < "$2"
}

# What tar could not do. That RAM has no user.* attributes is remembered; anything else is a failure.
imgboot_judge_apply_error() {
  local line
  while IFS= read -r line; do
    # The program's name is of no use to anybody.
    line=${line#/.imgboot-*/tar: }
    case $imgboot_writable_got,$line in
      ram,*"Cannot set 'user."*) imgboot_lost_attributes=${imgboot_lost_attributes:-$line} ;;
      *) imgboot_fail 'applying the top layer' "$line" 'check that the file system has room, and the top layer' ;;
    esac
  done < "$imgboot_run/applyerror"
}

# Unmounts the top layer's device; the booted system does not see it.
imgboot_close_toplayer() {
  rm -f "$imgboot_run/toplist" "$imgboot_run/topfiles" "$imgboot_run/toperror" "$imgboot_run/applyerror" "$imgboot_run/topapplied"
  [ -z "$imgboot_top_reader" ] || umount "$imgboot_top_reader/top" "$imgboot_top_reader/tools"
  [ -z "$imgboot_top_mounted" ] || umount "$imgboot_top_mounted"
}
