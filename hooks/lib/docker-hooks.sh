# shellcheck shell=dash disable=SC2034,SC2154
# What mkinitcpio-docker-hooks is asked by: docker_path=, rootflags=subvol= for the writable layer, and
# /etc/docker-btrfs.json.

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

# Settles where the writable layer is, where the command line names it.
# $1: where the root file system is mounted
imgboot_settle_docker_layer() {
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
