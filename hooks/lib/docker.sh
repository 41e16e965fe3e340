# shellcheck shell=dash disable=SC2034,SC2154
# Docker's store: image/<driver>/repositories.json names images, imagedb/content/sha256/<id> lists the layers of one, and
# layerdb/sha256/<chain>/cache-id is the directory of a layer (the chain: OCI image-spec, config.md, Layer ChainID).

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
