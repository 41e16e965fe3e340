# shellcheck shell=dash disable=SC2034,SC2154
# The writable layer over an image: a snapshot, or an overlay, on the disk or in RAM. Everything is made under a
# temporary name and published by a rename; a boot that is killed at any point leaves the old or the new.
#
# In deployments/<name>/ of the store:
#   ephemeral, ephemeral.<n>, persistent, persistent.chain   docs/architecture.md, 4.5
#   persistent.toplayer      digest of the top layer that persistent/ has; "applying <digest>" while it gets one
#   base.<digest>.<layer>    layer and top layer, merged: what ephemeral layers are made on (btrfs: a subvolume;
#                            overlay: upper/ is a lower directory)
#   .new.<n>, .trash.<n>     half-made, and on its way out: the cleaner's
#   made/<mark>              one for each subvolume that is ours: statfs's f_fsid, which no other subvolume of the file
#                            system ever has. Directories, since their making and a rename after it reach the disk
#                            in this order

# deployments/<name> of the image, as a path, and as overlayfs reads it from layers/.
imgboot_deployment=
imgboot_deployment_from_layers=
# What the booted system writes to, below deployments/<name>; empty in RAM.
imgboot_writable_got=
imgboot_writable_dir=
# The first user.* attribute that RAM could not hold; whether an ext2 in RAM holds the top layer instead.
imgboot_lost_attributes=
imgboot_ram_image=
# With a top layer: image and top layer, merged, in deployments/<name>.
imgboot_base=
# Where the booted system finds the store.
imgboot_store_shown=

# Makes the writable layer that was asked for and mounts the new root.
# $1: where
imgboot_make_root() {
  imgboot_deployment=$imgboot_store_dir/deployments/$imgboot_name
  imgboot_deployment_from_layers=../deployments/$imgboot_name
  if [ -n "$imgboot_top" ]; then
    imgboot_base=${imgboot_layers# }
    imgboot_base=base.${imgboot_top_digest#sha256:}.${imgboot_base%% *}
  fi
  case ${imgboot_writable:=ephemeral} in
    ram*) imgboot_make_ram "$1" ;;
    ephemeral)
      imgboot_open_deployment
      imgboot_make_ephemeral "$1"
      ;;
    persistent)
      imgboot_open_deployment
      imgboot_make_persistent "$1"
      ;;
  esac
}

imgboot_open_deployment() {
  [ -d "$imgboot_deployment" ] && return 0
  imgboot_try 'making a place for the writable layer' mkdir -p -m 0700 "$imgboot_deployment"
}

# Runs a command that must succeed.
# $1: what it does, for the message  $@: the command
imgboot_try() {
  local what="$1" error
  shift
  error=$("$@" 2>&1) && return 0
  imgboot_fail "$what" "$error" \
    'check that the file system is sound and has room; imgboot.writable=ram boots without writing to it'
}

# The next number of a series of names; a name that is no number is not counted.
# $1: directory and stem, as in DIR/ephemeral.
imgboot_next_number() {
  local path number
  imgboot_reply=1
  for path in "$1"*; do
    number=${path##*.}
    case $number in
      '' | *[!0-9]* | ?????????*) continue ;;
    esac
    [ "$number" -lt "$imgboot_reply" ] || imgboot_reply=$((number + 1))
  done
}

# $1: the new root
imgboot_make_ephemeral() {
  local new
  [ -z "$imgboot_base" ] || imgboot_make_base
  imgboot_new_layer "$imgboot_base"
  new=$imgboot_reply
  imgboot_set_aside
  imgboot_try 'publishing the writable layer' mv "$new" "$imgboot_deployment/ephemeral"
  imgboot_mount_layer "$1" ephemeral "$imgboot_base"
  imgboot_writable_got=ephemeral
  imgboot_writable_dir=ephemeral
}

# Renames the last boot's layer to the next number. One that we did not make is not ours to rename.
imgboot_set_aside() {
  local old="$imgboot_deployment/ephemeral"
  [ -e "$old" ] || [ -L "$old" ] || return 0
  imgboot_is_ours "$old" \
    || imgboot_fail "renaming $imgboot_store_path/deployments/$imgboot_name/ephemeral" 'imgboot did not make this subvolume' \
      'rename it yourself, or boot with imgboot.writable=ram'
  imgboot_next_number "$imgboot_deployment/ephemeral."
  imgboot_try 'keeping the last writable layer' mv "$old" "$old.$imgboot_reply"
}

# Makes an empty writable layer under a temporary name, which is left in imgboot_reply.
# $1: the base that it is made on, in deployments/<name>; none for the image itself
imgboot_new_layer() {
  local new
  imgboot_next_number "$imgboot_deployment/.new."
  new=$imgboot_deployment/.new.$imgboot_reply
  if [ "$imgboot_driver" = btrfs ]; then
    imgboot_snapshot "${1:+$imgboot_deployment/$1}" "$new"
  else
    imgboot_try 'making the writable layer' mkdir -m 0700 "$new"
    imgboot_try 'making the writable layer' mkdir -m 0755 "$new/upper" "$new/work"
  fi
  imgboot_reply=$new
}

# $1: a subvolume; empty for the image's layer  $2: the snapshot to make
imgboot_snapshot() {
  local source="${1:-$imgboot_store_dir/layers/${imgboot_layers# }}"
  source=${source%% *}
  imgboot_try "making a snapshot of ${source##*/}" btrfs subvolume snapshot "$source" "$2"
  imgboot_try 'marking the snapshot as ours' imgboot_mark "$2"
}

# $1: a subvolume that we made
imgboot_mark() {
  local mark
  mark=$(stat -f -c %i "$1") && mkdir -p "$imgboot_deployment/made/$mark"
}

# Whether we made it: a directory of an overlay in our own directory is; a subvolume is, if it has our mark.
# $1: path in deployments/<name>
imgboot_is_ours() {
  local mark
  [ ! -L "$1" ] || return 1
  [ "$imgboot_driver" = btrfs ] || return 0
  mark=$(stat -f -c %i "$1") && [ -d "$imgboot_deployment/made/$mark" ]
}

# Makes, once for each top layer, the image with the top layer applied. The name says what is in it, so a rename
# publishes it whole.
imgboot_make_base() {
  local new
  [ ! -d "$imgboot_deployment/$imgboot_base" ] || return 0
  imgboot_new_layer ''
  new=$imgboot_reply
  imgboot_apply_to_layer "$new"
  imgboot_try 'publishing the top layer' mv "$new" "$imgboot_deployment/$imgboot_base"
}

# Applies the top layer to a layer that nobody uses yet, and makes that durable.
# $1: the layer
imgboot_apply_to_layer() {
  if [ "$imgboot_driver" = btrfs ]; then
    imgboot_apply_toplayer "$1"
  else
    imgboot_mount_overlay "$imgboot_work/merge" '' "../deployments/$imgboot_name/${1##*/}"
    imgboot_apply_toplayer "$imgboot_work/merge"
    imgboot_try 'unmounting the top layer' umount "$imgboot_work/merge"
  fi
  imgboot_try 'writing the top layer to the disk' sync -f "$1"
}

# $1: the new root
imgboot_make_persistent() {
  local layer="$imgboot_deployment/persistent" chain='' has='' new
  imgboot_writable_got=persistent
  imgboot_writable_dir=persistent
  if [ -d "$layer" ]; then
    read -r chain 2> /dev/null < "$layer.chain"
    [ "$chain" = "$imgboot_chain" ] \
      || imgboot_fail "opening the persistent layer of $imgboot_reference" \
        "it was made on ${chain:-an unknown image}, and the image is now $imgboot_chain" \
        "boot the image it was made on, or imgboot.writable=ephemeral, or rename $imgboot_store_path/deployments/$imgboot_name/persistent"
    imgboot_is_ours "$layer" \
      || imgboot_fail "opening the persistent layer of $imgboot_reference" 'imgboot did not make this subvolume' \
        "rename $imgboot_store_path/deployments/$imgboot_name/persistent"
    read -r has 2> /dev/null < "$layer.toplayer"
    imgboot_update_persistent "$has"
  else
    imgboot_new_layer ''
    new=$imgboot_reply
    [ -z "$imgboot_top" ] || imgboot_apply_to_layer "$new"
    imgboot_write_record toplayer "${imgboot_top_digest:-none}"
    imgboot_write_record chain "$imgboot_chain"
    imgboot_try 'writing the persistent layer to the disk' sync -f "$new"
    imgboot_try 'publishing the persistent layer' mv "$new" "$layer"
  fi
  imgboot_mount_layer "$1" persistent ''
}

# Applies a top layer that the persistent layer does not have yet. The record says that it is half done until it is
# whole, so that a boot that was killed is made good by the next before anybody sees it.
# $1: the record of what it has
imgboot_update_persistent() {
  if [ -z "$imgboot_top" ]; then
    case $1 in
      applying*)
        imgboot_fail "opening the persistent layer of $imgboot_reference" \
          "a boot was stopped while it applied the top layer ${1#applying }" 'boot with that toplayer= again'
        ;;
    esac
    return 0
  fi
  [ "$1" != "$imgboot_top_digest" ] || return 0
  imgboot_write_record toplayer "applying $imgboot_top_digest"
  imgboot_try 'recording the top layer' sync -f "$imgboot_deployment"
  imgboot_apply_to_layer "$imgboot_deployment/persistent"
  imgboot_write_record toplayer "$imgboot_top_digest"
}

# $1: persistent.WHAT  $2: its one line
imgboot_write_record() {
  local file="$imgboot_deployment/persistent.$1"
  imgboot_try "writing persistent.$1" imgboot_write_line "$file.new" "$2"
  imgboot_try "writing persistent.$1" sync -f "$file.new"
  imgboot_try "writing persistent.$1" mv "$file.new" "$file"
}

# $1: file  $2: line
imgboot_write_line() {
  printf '%s\n' "$2" > "$1"
}

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
  # The overlay keeps the file systems; the booted system has no use for their names.
  [ -z "$imgboot_ram_image" ] || imgboot_try 'unmounting the top layer' umount "$imgboot_work/ram/ext2"
  imgboot_try 'unmounting the RAM layer' umount -l "$imgboot_work/ram"
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

# Mounts a published layer as the new root.
# $1: where  $2: the layer in deployments/<name>  $3: its base, if it has one
imgboot_mount_layer() {
  if [ "$imgboot_driver" = btrfs ]; then
    imgboot_try 'mounting the new root' mount --bind "$imgboot_deployment/$2" "$1"
  else
    imgboot_mount_overlay "$1" "${3:+$imgboot_deployment_from_layers/$3/upper}" "$imgboot_deployment_from_layers/$2"
  fi
}

# Mounts the image's layers under an upper directory. The names are relative to layers/, so that 127 of them fit
# the one page that mount(2) has for options.
# $1: where  $2: a directory between image and upper, if there is one  $3: the directory with upper/ and work/
imgboot_mount_overlay() {
  local lower="$2" layer
  for layer in $imgboot_layers; do
    lower=$lower:$layer
    [ "$imgboot_driver" = overlay ] || break
  done
  imgboot_try 'mounting the overlay' imgboot_mount_in "$imgboot_store_dir/layers" -t overlay \
    -o "lowerdir=${lower#:},upperdir=$3/upper,workdir=$3/work,redirect_dir=off,metacopy=off,index=off" overlay "$1"
}

# $1: the working directory  $@: arguments of mount
imgboot_mount_in() (
  cd "$1" && shift && mount "$@"
)

# Shows the store to the booted system where imgboot's commands look for it, and, where it lies elsewhere on the
# disk, at that path, too: read-only, and nobody's but root's.
# $1: the new root
imgboot_show_store() {
  local path
  for path in /var/lib/imgboot "$imgboot_store_path"; do
    [ "$path" != "$imgboot_store_shown" ] || return 0
    if ! imgboot_bind_store "$1$path" "$1" "$path"; then
      imgboot_fallback "the store is not shown at $path: there is no such directory, and none can be made"
      continue
    fi
    imgboot_store_shown=$path
  done
}

# $1: where  $2: the new root  $3: the path in it
imgboot_bind_store() {
  # A path that links lead elsewhere is not followed: it may be the image's own, but it is not this one.
  imgboot_is_plain_path "$2" "$3" || return 1
  [ -d "$1" ] || { mkdir -p "${1%/*}" && mkdir -m 0700 "$1"; } 2> /dev/null || return 1
  mount --bind "$imgboot_store_dir" "$1" && mount -o remount,bind,ro none "$1"
}
