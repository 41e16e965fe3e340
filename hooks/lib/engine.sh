# shellcheck shell=dash disable=SC2034,SC2154
# Images in the own stores of Docker (docker://) and Podman (containers-storage:), booted where they are: these stores
# are only read. docker.sh and podman.sh know how each names its images and layers; in both, overlay layers are named
# from the driver's directory by l/<link>, which is what fits mount(2)'s one page.

# shellcheck source=hooks/lib/docker.sh
. "$imgboot_lib/docker.sh"
# shellcheck source=hooks/lib/podman.sh
. "$imgboot_lib/podman.sh"
# shellcheck source=hooks/lib/docker-hooks.sh
. "$imgboot_lib/docker-hooks.sh"

# Prints the strings of a JSON file below a place, as json.awk does.
# $1: file  $2: the place, its parts with tabs between
imgboot_json() {
  "$imgboot_bin/busybox" awk -v "under=$2" -f "$imgboot_lib/json.awk" "$1"
}

# Leaves one string of a JSON file in imgboot_reply. Status 1: it is not there.
# $1: file  $2: the place
imgboot_json_value() {
  local lines
  lines=$(imgboot_json "$1" "$2") \
    || imgboot_fail "reading ${1#"$imgboot_work/disk"}" 'it is no JSON, or cut off' 'restore it, or boot another image'
  [ -n "$lines" ] || return 1
  imgboot_reply=${lines#"$2$imgboot_tab"}
}

imgboot_tab=$(printf '\t')

# Finds the image and reads what there is to know of it, as imgboot_find_store and imgboot_find_image do.
# $1: where the root file system is mounted
imgboot_find_foreign_image() {
  case $imgboot_image in
    docker://*)
      imgboot_find_data "$1" Docker "${imgboot_docker_path:-/var/lib/docker /docker}" image containerd
      imgboot_find_docker_image "$1$imgboot_data_path" "${imgboot_image#docker://}"
      ;;
    containers-storage:*)
      imgboot_find_data "$1" Podman "${imgboot_docker_path:-/var/lib/containers/storage /containers/storage}" overlay-images btrfs-images
      imgboot_find_podman_image "$1$imgboot_data_path" "${imgboot_image#containers-storage:}"
      ;;
  esac
  if ! imgboot_is_digest "$imgboot_chain" || ! imgboot_is_digest "$imgboot_image_id"; then
    imgboot_broken_data "$imgboot_image has the image $imgboot_image_id and the layer $imgboot_chain, which are no digests"
  fi
  imgboot_reference=$imgboot_image
  imgboot_percent_encode "$imgboot_image"
  imgboot_name=$imgboot_reply
  imgboot_choose_own_store "$1"
}

# Finds the directory of a foreign store: one that has one of these names in it. It is left in imgboot_data_path.
# $1: where the root file system is mounted  $2: whose  $3: where to look, with blanks between  $@: names
imgboot_find_data() {
  local root="$1" whose="$2" places="$3" place name
  shift 3
  for place in $places; do
    imgboot_is_plain_path "$root" "$place" || continue
    place=$imgboot_reply
    for name; do
      if [ -d "$root$place/$name" ]; then
        imgboot_data_path=$place
        return 0
      fi
    done
  done
  imgboot_fail "looking for $whose's store on $imgboot_device" "there is none at $places" \
    'name its path on that file system, as rootflags= mounts it, with docker_path='
}

# $1: what is wrong
imgboot_broken_data() {
  imgboot_fail "reading the store $imgboot_data_path on $imgboot_device" "$1" \
    'pull or build the image again, or boot another'
}

# Settles the image's driver and layers, and where they are.
# $1: the data root  $2: the store's driver  $3: the directory of the topmost layer
imgboot_open_foreign_layer() {
  local lower='' link=''
  case $3 in
    '' | *[!0-9a-z-]*) imgboot_broken_data "the layer $imgboot_chain of $imgboot_image has the directory \"$3\"" ;;
  esac
  case $2 in
    btrfs)
      imgboot_driver=btrfs
      imgboot_layers_dir=$1/btrfs/subvolumes
      imgboot_layers=" $3"
      [ -d "$imgboot_layers_dir/$3" ] || imgboot_broken_data "there is no btrfs/subvolumes/$3, a layer of $imgboot_image"
      return 0
      ;;
  esac
  imgboot_driver=overlay
  imgboot_layers_dir=$1/$2
  # What these stores' own mounts follow is followed, too.
  imgboot_overlay_redirects=follow
  # Neither file ends in a newline.
  read -r link 2> /dev/null < "$1/$2/$3/link" || [ -n "$link" ] || imgboot_broken_data "there is no $2/$3/link, of a layer of $imgboot_image"
  read -r lower 2> /dev/null < "$1/$2/$3/lower"
  imgboot_layers=
  lower=l/$link:$lower:
  while [ -n "$lower" ]; do
    link=${lower%%:*}
    lower=${lower#*:}
    case $link in
      '') continue ;;
      l/ | l/*[!A-Z0-9]* | [!l]* | l[!/]*) imgboot_broken_data "$2/$3/lower names the layer \"$link\"" ;;
    esac
    [ -d "$1/$2/$link/" ] || imgboot_broken_data "there is no $2/$link, a layer of $imgboot_image"
    imgboot_layers="$imgboot_layers $link"
  done
}

# Chooses where the writable layers are: an imgboot store, or, where there is none, a directory beside the foreign one.
# $1: where the root file system is mounted
imgboot_choose_own_store() {
  local path up=''
  if [ -n "$imgboot_store" ]; then
    path=$imgboot_layers_dir
    imgboot_find_store "$1"
    imgboot_layers_dir=$path
  else
    case $imgboot_data_path in
      /var/lib/*) imgboot_store_path=/var/lib/imgboot ;;
      *) imgboot_store_path=/imgboot ;;
    esac
    for path in /var/lib/imgboot /imgboot; do
      [ ! -d "$1$path/deployments" ] || imgboot_store_path=$path
    done
    imgboot_is_plain_path "$1" "$imgboot_store_path" \
      || imgboot_fail "making $imgboot_store_path for the writable layer" "$imgboot_reply is a symbolic link" \
        'name a store with imgboot.store='
    imgboot_store_dir=$1$imgboot_store_path
  fi
  path=${imgboot_layers_dir#"$1"}
  while [ -n "$path" ]; do
    up=$up../
    path=${path%/*}
  done
  imgboot_store_from_layers=$up${imgboot_store_path#/}
  imgboot_settle_docker_layer "$1"
}

# Shows the foreign store to the booted system where its engine looks for it.
# $1: the new root
imgboot_show_data() {
  local path=/var/lib/docker options=rw
  case $imgboot_image in
    containers-storage:*) path=/var/lib/containers/storage ;;
  esac
  [ -z "$imgboot_reads_only" ] || options=ro
  imgboot_is_plain_path "$1" "$path" && mkdir -p "$1$path" && mount --bind "$imgboot_work/disk$imgboot_data_path" "$1$path" \
    && mount -o "remount,bind,$options" none "$1$path" && return 0
  imgboot_fallback "the store $imgboot_data_path is not shown at $path: there is no such directory, and none can be made"
}
