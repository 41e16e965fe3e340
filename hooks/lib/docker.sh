# shellcheck shell=dash disable=SC2034,SC2154
# Images in the stores of Docker (docker://) and of Podman (containers-storage:), booted where they are: these stores
# are only read. docker_path= and /etc/docker-btrfs.json of mkinitcpio-docker-hooks are read here, too.
#
# Docker: image/<driver>/repositories.json names images, imagedb/content/sha256/<id> lists the layers of one, and
# layerdb/sha256/<chain>/cache-id is the directory of a layer (the chain: OCI image-spec, config.md, Layer ChainID).
# containers/storage: <driver>-images/images.json names images and their topmost layer, whose ID is its directory.
# In both, overlay layers are named from the driver's directory by l/<link>, which is what fits mount(2)'s one page.

# The writable layer that rootflags=subvol= names beside docker_path=, from the top of the file system.
imgboot_docker_layer=

# Settles docker_path=: the image is the one that /etc/docker-btrfs.json names, where the command line names none.
imgboot_settle_docker_path() {
  local file=/etc/docker-btrfs.json name tag rest flags=''
  case $imgboot_image in
    '' | docker://* | containers-storage:*) ;;
    *)
      imgboot_fail "docker_path=$imgboot_docker_path on the kernel command line" \
        "is where an image of Docker's is, and imgboot.image=$imgboot_image is none" \
        "write imgboot.image=docker://$imgboot_image, or leave docker_path= out"
      ;;
  esac
  imgboot_docker_path=/${imgboot_docker_path#/}
  if [ -z "$imgboot_image" ]; then
    [ -f "$file" ] || imgboot_fail "docker_path=$imgboot_docker_path on the kernel command line" \
      "there is no $file in the initramfs, and no imgboot.image=" \
      "write {\"docker_image\": NAME, \"docker_tag\": TAG} to $file of the image and make the initramfs again, or add imgboot.image=docker://NAME:TAG"
    imgboot_json_value "$file" docker_image \
      || imgboot_fail "reading $file of the initramfs" 'it names no docker_image' 'correct it and make the initramfs again'
    name=$imgboot_reply
    tag=latest
    ! imgboot_json_value "$file" docker_tag || tag=${imgboot_reply:-latest}
    imgboot_image=docker://$name:$tag
  fi
  # rootflags= is for the whole file system; its subvol= names what is to be made.
  rest=$imgboot_rootflags,
  while [ -n "$rest" ]; do
    case ${rest%%,*} in
      '') ;;
      subvol=*)
        imgboot_docker_layer=${rest%%,*}
        imgboot_docker_layer=${imgboot_docker_layer#subvol=}
        imgboot_docker_layer=/${imgboot_docker_layer#/}
        ;;
      *) flags=$flags,${rest%%,*} ;;
    esac
    rest=${rest#*,}
  done
  imgboot_rootflags=${flags#,}
}

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

# $1: Docker's data root  $2: NAME[:TAG], NAME@DIGEST or an image ID
imgboot_find_docker_image() {
  local driver id='' found='' known=''
  for driver in overlay2 btrfs; do
    [ -f "$1/image/$driver/repositories.json" ] || continue
    known="$known $driver"
    imgboot_docker_id "$1/image/$driver" "$2" || continue
    [ -z "$found" ] || imgboot_fail "looking for the image $2" "the store $imgboot_data_path has it twice, by $found and by $driver" \
      "remove what Docker does not use any more: $imgboot_data_path/image/$found or $imgboot_data_path/image/$driver"
    found=$driver
    id=$imgboot_reply
  done
  if [ -z "$known" ]; then
    if [ -d "$1/containerd" ] || [ -d "$1/image/overlayfs" ]; then
      imgboot_fail "looking for the image $2" \
        "the store $imgboot_data_path is containerd's, which keeps its names in a database that is not read before the boot" \
        "take the image into imgboot's own store (imgboot pull docker-daemon:$2) and boot it from there"
    fi
    for driver in "$1"/image/*; do
      [ ! -d "$driver" ] || known="$known ${driver##*/}"
    done
    imgboot_fail "looking for the image $2" "the store $imgboot_data_path has the driver${known:- none}, and only overlay2 and btrfs can be booted" \
      "take the image into imgboot's own store (imgboot pull docker-daemon:$2) and boot it from there"
  fi
  if [ -z "$found" ]; then
    imgboot_list_docker_images "$1"
    imgboot_fail "looking for the image $2" "the store $imgboot_data_path on $imgboot_device has no such image; it has: $imgboot_reply" \
      'correct the reference in the boot entry, or docker pull or build the image'
  fi
  imgboot_image_id=sha256:$id
  imgboot_docker_chain "$1/image/$found" "$id"
  imgboot_open_docker_layer "$1" "$found" "$1/image/$found/layerdb/sha256/${imgboot_chain#sha256:}"
}

# Leaves the image ID that a reference means in imgboot_reply. Status 1: it means none.
# $1: image/<driver>  $2: reference
imgboot_docker_id() {
  local reference name
  reference=${2#docker.io/}
  reference=${reference#library/}
  case $reference in
    sha256:*)
      imgboot_docker_full_id "$1" "${reference#sha256:}"
      return
      ;;
  esac
  imgboot_check_reference "$reference"
  imgboot_complete_reference "$reference"
  reference=$imgboot_reply
  name=${reference%@*}
  case ${name##*/} in
    *:*) name=${name%:*} ;;
  esac
  imgboot_json_value "$1/repositories.json" "Repositories$imgboot_tab$name$imgboot_tab$reference" || {
    # A number of digits is an ID, too, as with docker.
    imgboot_docker_full_id "$1" "${2}"
    return
  }
  imgboot_reply=${imgboot_reply#sha256:}
}

# The ID that begins so; at least 12 digits. Status 1: there is none.
# $1: image/<driver>  $2: digits
imgboot_docker_full_id() {
  local file found=''
  case $2 in
    *[!0-9a-f]*) return 1 ;;
    ????????????*) ;;
    *) return 1 ;;
  esac
  for file in "$1/imagedb/content/sha256/$2"*; do
    [ -f "$file" ] || continue
    [ -z "$found" ] || imgboot_fail "looking for the image $2" 'the IDs of several images begin so' 'write more digits of it'
    found=${file##*/}
  done
  [ -n "$found" ] || return 1
  imgboot_reply=$found
}

# What Docker's names are, with blanks between.
# $1: Docker's data root
imgboot_list_docker_images() {
  local list
  list=$(for driver in overlay2 btrfs; do
    [ ! -f "$1/image/$driver/repositories.json" ] || imgboot_json "$1/image/$driver/repositories.json" Repositories
  done | cut -f 3 | grep -v @ | tr '\n' ' ')
  list=${list% }
  imgboot_printable "$list"
  imgboot_reply=${imgboot_reply:-none}
}

# Leaves the chain of an image's topmost layer in imgboot_chain.
# $1: image/<driver>  $2: image ID
imgboot_docker_chain() {
  local file="$1/imagedb/content/sha256/$2" sum layers line chain=''
  [ -f "$file" ] || imgboot_broken_data "the image sha256:$2 has no ${file#"$1/"}"
  sum=$(sha256sum < "$file")
  [ "${sum%% *}" = "$2" ] || imgboot_broken_data "${file#"$1/"} is not what its name says"
  layers=$(imgboot_json "$file" "rootfs${imgboot_tab}diff_ids")
  [ -n "$layers" ] || imgboot_broken_data "${file#"$1/"} lists no layers"
  while IFS= read -r line; do
    line=${line##*"$imgboot_tab"}
    if [ -z "$chain" ]; then
      chain=$line
    else
      chain=$(printf '%s %s' "$chain" "$line" | sha256sum)
      chain=sha256:${chain%% *}
    fi
  done << EOF
$layers
EOF
  imgboot_chain=$chain
}

# Settles driver and layers by what Docker says of a layer.
# $1: Docker's data root  $2: Docker's driver  $3: the layer in layerdb
imgboot_open_docker_layer() {
  local cache=''
  [ -d "$3" ] || imgboot_broken_data "the layer $imgboot_chain of $imgboot_image is not there; it may be half pulled"
  read -r cache 2> /dev/null < "$3/cache-id" || [ -n "$cache" ] \
    || imgboot_broken_data "the layer $imgboot_chain of $imgboot_image has no cache-id"
  imgboot_open_foreign_layer "$1" "$2" "$cache"
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

# $1: the data root of containers/storage  $2: NAME[:TAG], NAME@DIGEST or an image ID
imgboot_find_podman_image() {
  local driver found='' known='' layer
  for driver in overlay btrfs; do
    [ -f "$1/$driver-images/images.json" ] || continue
    known="$known $driver"
    imgboot_podman_image "$1/$driver-images/images.json" "$2" || continue
    found=$driver
    break
  done
  [ -n "$known" ] || imgboot_fail "looking for the image $2" \
    "the store $imgboot_data_path has neither the driver overlay nor btrfs, which alone can be booted" \
    "take the image into imgboot's own store (imgboot pull containers-storage:$2) and boot it from there"
  if [ -z "$found" ]; then
    imgboot_printable "$(for driver in $known; do
      imgboot_json "$1/$driver-images/images.json" '' | grep "^[0-9]*${imgboot_tab}names$imgboot_tab" | cut -f 4
    done | tr '\n' ' ')"
    imgboot_fail "looking for the image $2" "the store $imgboot_data_path on $imgboot_device has no such image; it has: ${imgboot_reply:-none}" \
      'correct the reference in the boot entry, or podman pull or build the image'
  fi
  layer=${imgboot_reply#* }
  imgboot_image_id=sha256:${imgboot_reply%% *}
  imgboot_chain=sha256:$layer
  imgboot_open_foreign_layer "$1" "$found" "$layer"
}

# Leaves the ID and the topmost layer of the image that a reference means in imgboot_reply. Status 1: it means none.
# $1: images.json  $2: reference
imgboot_podman_image() {
  local lines reference number=''
  lines=$(imgboot_json "$1" '') || imgboot_broken_data "${1##*/} is no JSON, or cut off"
  case $2 in
    sha256:*) ;;
    *@*) number=$(imgboot_element_with "$lines" digest "${2#*@}") ;;
    *)
      imgboot_check_reference "$2"
      imgboot_complete_reference "$2"
      reference=$imgboot_reply
      # As podman reads short names.
      for reference in "$reference" "localhost/$reference" "docker.io/library/$reference" "docker.io/$reference"; do
        number=$(imgboot_element_with "$lines" names "$reference")
        [ -z "$number" ] || break
      done
      ;;
  esac
  [ -n "$number" ] || number=$(imgboot_element_with "$lines" id "${2#sha256:}")
  [ -n "$number" ] || return 1
  # shellcheck disable=SC2016
  imgboot_reply=$(printf '%s\n' "$lines" | "$imgboot_bin/busybox" awk -F '\t' -v number="$number" '
    $1 == number && $2 == "id" { id = $3 }
    $1 == number && $2 == "layer" { layer = $3 }
    END { print id " " layer }')
}

# Prints the number of the element of an array with this ID (12 digits of it, or more), digest, or one of its names.
# $1: lines of json.awk  $2: id, digest or names  $3: the value
imgboot_element_with() {
  # shellcheck disable=SC2016
  printf '%s\n' "$1" | "$imgboot_bin/busybox" awk -F '\t' -v member="$2" -v value="$3" '
    $2 != member { next }
    member == "id" ? length(value) >= 12 && index($3, value) == 1 : $NF == value { print $1; exit }'
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
  # Only subvolumes have a place of their own.
  [ "$imgboot_driver" = btrfs ] || imgboot_docker_layer=
  [ -n "$imgboot_docker_layer" ] || return 0
  if ! imgboot_is_plain_path "$1" "$imgboot_docker_layer" || [ -z "$imgboot_reply" ]; then
    imgboot_fail "rootflags=subvol=${imgboot_docker_layer#/} on the kernel command line" \
      'is no name for a writable layer' 'name a subvolume that is not there yet, such as rootflags=subvol=docker_rwlayer'
  fi
  imgboot_docker_layer=$imgboot_reply
  # A layer in there is a snapshot of another, too, but Docker's own.
  case $1$imgboot_docker_layer in
    "$imgboot_layers_dir"/*)
      imgboot_fail "rootflags=subvol=${imgboot_docker_layer#/} on the kernel command line" \
        "is a layer of Docker's own" 'name a subvolume beside it, such as rootflags=subvol=docker_rwlayer'
      ;;
  esac
  imgboot_ephemeral=$1$imgboot_docker_layer
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

# Whether a subvolume is a snapshot of one of Docker's, as mkinitcpio-docker-hooks made it.
# $1: its path
imgboot_is_docker_snapshot() {
  local parent path
  parent=$(imgboot_subvolume_fact "$1" 'Parent UUID')
  case $parent in
    *-*-*-*-*) ;;
    *) return 1 ;;
  esac
  for path in "$imgboot_layers_dir"/*; do
    [ "$(imgboot_subvolume_fact "$path" UUID)" != "$parent" ] || return 0
  done
  return 1
}

# $1: a subvolume's path  $2: what of it
imgboot_subvolume_fact() {
  btrfs subvolume show "$1" 2> /dev/null | sed -n "s/^[[:blank:]]*$2:[[:blank:]]*//p"
}
