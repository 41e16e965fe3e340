# shellcheck shell=dash disable=SC2034,SC2154
# The writable layer over an image: a snapshot, or an overlay, on the disk or in RAM. Everything is made under a
# temporary name and published by a rename; a boot that is killed at any point leaves the old or the new.
#
# In deployments/<name>/ of the store:
#   ephemeral, ephemeral.<n>, persistent, persistent.chain   docs/architecture.md, 4.5
#   persistent.toplayer      digest of the top layer that persistent/ has; "applying <digest>" while it gets one
#   base.<digest>.<layer>    layer and top layer, merged: what ephemeral layers are made on (btrfs: a subvolume;
#                            overlay: upper/ is a lower directory), and what persistent ones are compared with
#   .new.<n>, .trash.<n>     half-made, and on its way out: the cleaner's
#   made/<mark>              one for each subvolume that is ours: statfs's f_fsid, which no other subvolume of the file
#                            system ever has. Directories, since their making and a rename after it reach the disk
#                            in this order
# What a layer was made on is a directory, too: its chain's digits, and below it the base, if it has one; for a
# subvolume in made/<mark>/, for an overlay in on/, beside its upper/.

# deployments/<name> of the image, or deployments/<name>/<number> of a deployment, as a path, and as overlayfs reads it
# from layers/.
imgboot_place=
imgboot_place_from_layers=
# The ephemeral layer, as a path; how overlays take renamed directories of lower layers.
imgboot_ephemeral=
imgboot_overlay_redirects=off
# What the booted system writes to, below deployments/<name>; empty in RAM.
imgboot_writable_got=
imgboot_writable_dir=
# With a top layer: image and top layer, merged, in deployments/<name>.
imgboot_base=

# Makes the writable layer that was asked for and mounts the new root.
# $1: where
imgboot_make_root() {
  imgboot_place=$imgboot_store_dir/deployments/$imgboot_name
  imgboot_place_from_layers=$imgboot_store_from_layers/deployments/$imgboot_name
  imgboot_ephemeral=${imgboot_ephemeral:-$imgboot_place/ephemeral}
  if [ -n "$imgboot_top" ]; then
    imgboot_base=${imgboot_layers# }
    imgboot_base=${imgboot_base%% *}
    # Another engine's names may be paths.
    [ -z "$imgboot_data_path" ] || imgboot_base=$(printf '%.16s' "${imgboot_chain#sha256:}")
    imgboot_base=base.${imgboot_top_digest#sha256:}.$imgboot_base
  fi
  case ${imgboot_writable:=ephemeral} in
    ram*) imgboot_make_ram "$1" ;;
    previous) imgboot_take_previous "$1" ;;
    ephemeral)
      imgboot_open_place
      imgboot_make_ephemeral "$1"
      ;;
    persistent)
      imgboot_open_place
      imgboot_make_persistent "$1"
      ;;
  esac
}

imgboot_open_place() {
  [ -d "$imgboot_place" ] && return 0
  [ -d "$imgboot_store_dir" ] || imgboot_try 'making a place for the writable layer' mkdir -m 0700 "$imgboot_store_dir"
  imgboot_try 'making a place for the writable layer' mkdir -p -m 0700 "$imgboot_place"
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
  imgboot_try 'publishing the writable layer' mv "$new" "$imgboot_ephemeral"
  imgboot_mount_layer "$1" "$imgboot_ephemeral" "$imgboot_base"
  imgboot_writable_got=ephemeral
  imgboot_writable_dir=ephemeral
}

# Mounts the last ephemeral layer as it is, on what it was made on: its own top layer is in it, or in its base.
# $1: the new root
imgboot_take_previous() {
  local layer="$imgboot_ephemeral" what='booting the last ephemeral layer once more' mend made
  mend='boot with imgboot.writable=ephemeral, which makes a new one'
  [ -d "$layer" ] || imgboot_fail "$what" "there is no $imgboot_store_path/deployments/$imgboot_name/ephemeral" "$mend"
  imgboot_is_ours "$layer" || imgboot_fail "$what" 'imgboot did not make this subvolume' "$mend"
  made=$layer/on
  [ "$imgboot_driver" = overlay ] || made=$imgboot_place/made/$(stat -f -c %i "$layer")
  set -- "$1" "$made"/*
  made='an unknown image'
  [ ! -d "$2" ] || made=sha256:${2##*/}
  [ "$made" = "$imgboot_chain" ] || imgboot_fail "$what" "it was made on $made, and the image is now $imgboot_chain" "$mend"
  set -- "$1" "$2"/*
  imgboot_base=
  if [ -e "$2" ]; then
    imgboot_base=${2##*/}
    [ "$imgboot_driver" = btrfs ] || [ -d "$imgboot_place/$imgboot_base/upper" ] \
      || imgboot_fail "$what" "the top layer that it was made on, $imgboot_base, is no longer there" "$mend"
  fi
  imgboot_mount_layer "$1" "$layer" "$imgboot_base"
  imgboot_writable_got=previous
  imgboot_writable_dir=ephemeral
}

# Renames the last boot's layer to the next number. One that we did not make is not ours to rename.
imgboot_set_aside() {
  local old="$imgboot_ephemeral"
  [ -e "$old" ] || [ -L "$old" ] || return 0
  imgboot_is_ours "$old" || { [ -n "$imgboot_data_path" ] && imgboot_is_docker_snapshot "$old"; } \
    || imgboot_fail "renaming ${old#"$imgboot_work/disk"}" 'imgboot did not make this subvolume' \
      'rename it yourself, or boot with imgboot.writable=ram'
  imgboot_next_number "$imgboot_place/ephemeral."
  imgboot_try 'keeping the last writable layer' mv "$old" "$imgboot_place/ephemeral.$imgboot_reply"
}

# Makes an empty writable layer under a temporary name, which is left in imgboot_reply.
# $1: the base that it is made on, in deployments/<name>; none for the image itself
imgboot_new_layer() {
  local new
  imgboot_next_number "$imgboot_place/.new."
  new=$imgboot_place/.new.$imgboot_reply
  if [ "$imgboot_driver" = btrfs ]; then
    imgboot_snapshot "${1:+$imgboot_place/$1}" "$new" "${imgboot_chain#sha256:}${1:+/$1}"
  else
    imgboot_try 'making the writable layer' mkdir -m 0700 "$new"
    imgboot_try 'making the writable layer' \
      mkdir -p -m 0755 "$new/upper" "$new/work" "$new/on/${imgboot_chain#sha256:}${1:+/$1}"
  fi
  imgboot_reply=$new
}

# $1: a subvolume; empty for the image's layer  $2: the snapshot to make  $3: what it is made on, as a mark has it
imgboot_snapshot() {
  local source="${1:-$imgboot_layers_dir/${imgboot_layers# }}"
  source=${source%% *}
  imgboot_try "making a snapshot of ${source##*/}" btrfs subvolume snapshot "$source" "$2"
  imgboot_try 'marking the snapshot as ours' imgboot_mark "$2" "$3"
}

# $1: a subvolume that we made  $2: what it is made on
imgboot_mark() {
  local mark
  mark=$(stat -f -c %i "$1") && mkdir -p "$imgboot_place/made/$mark/$2"
}

# Whether we made it: a directory of an overlay in our own directory is; a subvolume is, if it has our mark.
# $1: path in deployments/<name>
imgboot_is_ours() {
  local mark
  [ ! -L "$1" ] || return 1
  [ "$imgboot_driver" = btrfs ] || return 0
  mark=$(stat -f -c %i "$1") && [ -d "$imgboot_place/made/$mark" ]
}

# Makes, once for each top layer, the image with the top layer applied. The name says what is in it, so a rename
# publishes it whole.
imgboot_make_base() {
  local new
  [ ! -d "$imgboot_place/$imgboot_base" ] || return 0
  imgboot_new_layer ''
  new=$imgboot_reply
  imgboot_apply_to_layer "$new"
  imgboot_try 'publishing the top layer' mv "$new" "$imgboot_place/$imgboot_base"
}

# Applies the top layer to a layer that nobody uses yet, and makes that durable.
# $1: the layer
imgboot_apply_to_layer() {
  if [ "$imgboot_driver" = btrfs ]; then
    imgboot_apply_toplayer "$1"
  else
    imgboot_mount_overlay "$imgboot_work/merge" '' "$imgboot_place_from_layers/${1##*/}"
    imgboot_apply_toplayer "$imgboot_work/merge"
    imgboot_try 'unmounting the top layer' umount "$imgboot_work/merge"
  fi
  imgboot_try 'writing the top layer to the disk' sync -f "$1"
}

# $1: the new root
imgboot_make_persistent() {
  local layer="$imgboot_place/persistent" chain='' has='' new
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
    # What it was given stays beside it, so that what the system changes can be told from it.
    [ -z "$imgboot_base" ] || imgboot_make_base
    if [ "$imgboot_driver" = btrfs ]; then
      imgboot_new_layer "$imgboot_base"
      new=$imgboot_reply
    else
      imgboot_new_layer ''
      new=$imgboot_reply
      [ -z "$imgboot_top" ] || imgboot_apply_to_layer "$new"
    fi
    imgboot_write_record toplayer "${imgboot_top_digest:-none}"
    imgboot_write_record chain "$imgboot_chain"
    imgboot_try 'writing the persistent layer to the disk' sync -f "$new"
    imgboot_try 'publishing the persistent layer' mv "$new" "$layer"
  fi
  imgboot_mount_layer "$1" "$layer" ''
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
  imgboot_make_base
  imgboot_write_record toplayer "applying $imgboot_top_digest"
  imgboot_try 'recording the top layer' sync -f "$imgboot_place"
  imgboot_apply_to_layer "$imgboot_place/persistent"
  imgboot_write_record toplayer "$imgboot_top_digest"
}

# $1: persistent.WHAT  $2: its one line
imgboot_write_record() {
  local file="$imgboot_place/persistent.$1"
  imgboot_try "writing persistent.$1" imgboot_write_line "$file.new" "$2"
  imgboot_try "writing persistent.$1" sync -f "$file.new"
  imgboot_try "writing persistent.$1" mv "$file.new" "$file"
}

# $1: file  $2: line
imgboot_write_line() {
  printf '%s\n' "$2" > "$1"
}

# Mounts a published layer as the new root.
# $1: where  $2: the layer's path  $3: its base, if it has one
imgboot_mount_layer() {
  if [ "$imgboot_driver" = btrfs ]; then
    imgboot_try 'mounting the new root' mount --bind "$2" "$1"
  else
    imgboot_mount_overlay "$1" "${3:+$imgboot_place_from_layers/$3/upper}" "$imgboot_place_from_layers/${2##*/}"
  fi
}

# Mounts the image's layers under an upper directory. The names are relative to where these are, so that 127 of them fit
# the one page that mount(2) has for options.
# $1: where  $2: a directory between image and upper, if there is one  $3: the directory with upper/ and work/
imgboot_mount_overlay() {
  local lower="$2" layer
  for layer in $imgboot_layers; do
    lower=$lower:$layer
    [ "$imgboot_driver" = overlay ] || break
  done
  imgboot_try 'mounting the overlay' imgboot_mount_in "$imgboot_layers_dir" -t overlay \
    -o "lowerdir=${lower#:},upperdir=$3/upper,workdir=$3/work,redirect_dir=$imgboot_overlay_redirects,metacopy=off,index=off" overlay "$1"
}

# $1: the working directory  $@: arguments of mount
imgboot_mount_in() (
  cd "$1" && shift && mount "$@"
)
