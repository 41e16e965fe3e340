# shellcheck shell=dash disable=SC2034,SC2154
# Podman's store, containers/storage: <driver>-images/images.json names images and their topmost layer, whose ID is its
# directory.

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
