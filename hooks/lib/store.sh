# shellcheck shell=dash disable=SC2034,SC2154
# The store on the root file system: where it is, and what it says of an image. Its files are text, never code.

# The store's path as the booted system will see it, and where it is now.
imgboot_store_path=
imgboot_store_dir=
# Where the image's layers are, and the store as overlayfs reads it from there.
imgboot_layers_dir=
imgboot_store_from_layers=..
# The path of another engine's store that has the image, on the root file system.
imgboot_data_path=
# Where the booted system finds it.
imgboot_store_shown=
# Of the image: its name in deployments/ (a reference, encoded, or the version of a deployment), and the lines of its
# boot file.
imgboot_name=
imgboot_reference=
imgboot_image_id=
imgboot_driver=
imgboot_chain=
# Names in the layers' directory, topmost first, with blanks between.
imgboot_layers=

# Whether a path inside a root is free of symbolic links and of "..", which could lead out of it.
# The first bad component is left in imgboot_reply.
# $1: the root  $2: an absolute path inside it
imgboot_is_plain_path() {
  local walked='' rest="$2/" part
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    rest=${rest#*/}
    case $part in
      '' | .) continue ;;
    esac
    walked=$walked/$part
    imgboot_reply=$walked
    [ "$part" != .. ] || return 1
    [ ! -L "$1$walked" ] || return 1
  done
  imgboot_reply=$walked
}

# Reads a path's symbolic links as a system whose root directory is the given one reads them.
# Status 1: a loop of links.
# $1: the root  $2: an absolute path inside it
imgboot_resolve_inside() {
  local rest="$2/" walked='' part target links=0
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    rest=${rest#*/}
    case $part in
      '' | .) ;;
      ..) walked=${walked%/*} ;;
      *)
        if [ -L "$1$walked/$part" ]; then
          links=$((links + 1))
          [ "$links" -le 40 ] || return 1
          target=$(readlink "$1$walked/$part")
          case $target in
            /*) walked= ;;
          esac
          rest=$target/$rest
        else
          walked=$walked/$part
        fi
        ;;
    esac
  done
  imgboot_reply=$walked
}

# Finds the store.
# $1: where the root file system is mounted
imgboot_find_store() {
  local root="$1" path tried=''
  if [ -n "$imgboot_store" ]; then
    set -- "$imgboot_store"
  else
    set -- /var/lib/imgboot /imgboot
  fi
  for path; do
    case $path in
      /*) ;;
      *)
        imgboot_fail "imgboot.store=$path on the kernel command line" 'is not an absolute path' \
          'correct the boot entry'
        ;;
    esac
    tried="$tried $path"
    if imgboot_is_plain_path "$root" "$path"; then
      path=$imgboot_reply
      if [ -d "$root$path/boot" ] && [ -d "$root$path/layers" ]; then
        imgboot_store_path=${path:-/}
        imgboot_store_dir=$root$path
        imgboot_layers_dir=$root$path/layers
        return 0
      fi
    else
      tried="$tried ($imgboot_reply is a symbolic link or ..)"
    fi
  done
  imgboot_fail "looking for a store on $imgboot_device" "there is none at$tried" \
    'name its path on that file system, as rootflags= mounts it, with imgboot.store='
}

# Finds the image in the store and reads what there is to know of it.
# $1: reference or image ID, as it came on the command line
imgboot_find_image() {
  local found=''
  case $1 in
    sha256:*)
      imgboot_find_image_id "${1#sha256:}"
      found=$imgboot_name
      ;;
    *)
      imgboot_check_reference "$1"
      imgboot_complete_reference "$1"
      set -- "$imgboot_reply"
      for found in "$1" "docker.io/library/$1" "localhost/$1" ''; do
        [ -n "$found" ] || break
        imgboot_percent_encode "$found"
        found=$imgboot_reply
        [ ! -f "$imgboot_store_dir/boot/$found" ] || break
      done
      ;;
  esac
  if [ -z "$found" ]; then
    imgboot_list_references
    imgboot_fail "looking for the image $1" \
      "the store $imgboot_store_path on $imgboot_device has no such image; it has: $imgboot_reply" \
      'correct imgboot.image= in the boot entry, or put the image there with imgboot load, import or pull'
  fi
  imgboot_name=$found
  imgboot_read_boot_file "$imgboot_store_dir/boot/$found"
}

# Refuses what is no reference: those characters have no business on a kernel command line.
# $1: reference
imgboot_check_reference() {
  case $1 in
    '' | *[!A-Za-z0-9._/:@-]* | [!A-Za-z0-9]* | */ | */[!A-Za-z0-9]*)
      imgboot_fail "imgboot.image=$1 on the kernel command line" 'is no image reference' \
        'write [REGISTRY/]NAME[:TAG], in letters, digits and . _ - / : @'
      ;;
  esac
  [ "${#1}" -le 255 ] || imgboot_fail 'imgboot.image= on the kernel command line' 'is longer than a reference can be' \
    'write [REGISTRY/]NAME[:TAG]'
}

# Adds the tag that is meant where there is none.
# $1: reference
imgboot_complete_reference() {
  case ${1##*/} in
    *[:@]*) imgboot_reply=$1 ;;
    *) imgboot_reply=$1:latest ;;
  esac
}

# Finds the reference of an image by the first digits of its ID; its name, or nothing, is left in imgboot_name.
# $1: at least 12 hexadecimal digits
imgboot_find_image_id() {
  local file line first=''
  case $1 in
    *[!0-9a-f]* | ? | ?? | ??? | ???? | ????? | ?????? | ??????? | ???????? | ????????? | ?????????? | ??????????? | '')
      imgboot_fail "imgboot.image=sha256:$1 on the kernel command line" 'is no image ID' \
        'write sha256: and at least 12 digits of it'
      ;;
  esac
  imgboot_name=
  for file in "$imgboot_store_dir"/boot/*; do
    [ -f "$file" ] || continue
    while IFS= read -r line; do
      case $line in
        "image=sha256:$1"*)
          [ -z "$first" ] || [ "$first" = "$line" ] \
            || imgboot_fail "imgboot.image=sha256:$1 on the kernel command line" \
              'the IDs of several images begin so' 'write more digits of it'
          first=$line
          imgboot_name=${imgboot_name:-${file##*/}}
          ;;
      esac
    done < "$file"
  done
}

# The references that the store has, with commas between.
imgboot_list_references() {
  local file line list=''
  for file in "$imgboot_store_dir"/boot/*; do
    [ -f "$file" ] || continue
    while IFS= read -r line; do
      case $line in
        reference=*) list="$list, ${line#reference=}" ;;
      esac
    done < "$file"
  done
  imgboot_printable "${list#, }"
  imgboot_reply=${imgboot_reply:-none}
}

# Reads the boot file of an image; a value that cannot be right is a failure, an unknown key is not.
# $1: the file
imgboot_read_boot_file() {
  local line value version='' layer
  imgboot_layers=
  [ -f "$1" ] || imgboot_broken_store "there is no $1"
  while IFS= read -r line; do
    value=${line#*=}
    case $line in
      version=*) version=$value ;;
      reference=*) imgboot_reference=$value ;;
      image=*) imgboot_image_id=$value ;;
      driver=*) imgboot_driver=$value ;;
      chain=*) imgboot_chain=$value ;;
      layer=*[!0-9a-f]* | layer=) imgboot_broken_store "$1 has the line $line" ;;
      layer=*) imgboot_layers="$imgboot_layers $value" ;;
    esac
  done < "$1"
  case $imgboot_driver in
    btrfs | overlay) ;;
    *) imgboot_broken_store "$1 names the driver \"$imgboot_driver\"" ;;
  esac
  [ "$version" = 1 ] || imgboot_broken_store "$1 has version \"$version\", not 1"
  imgboot_is_digest "$imgboot_chain" || imgboot_broken_store "$1 has no chain that is a digest"
  imgboot_is_digest "$imgboot_image_id" || imgboot_broken_store "$1 has no image that is a digest"
  [ -n "$imgboot_layers" ] || imgboot_broken_store "$1 names no layer"
  for layer in $imgboot_layers; do
    [ -d "$imgboot_store_dir/layers/$layer" ] || imgboot_broken_store "there is no layers/$layer, which $1 names"
    [ "$imgboot_driver" = overlay ] || break
  done
}

# $1: what is wrong
imgboot_broken_store() {
  imgboot_fail "reading the store $imgboot_store_path on $imgboot_device" "$1" \
    'repair it with imgboot fsck --repair, or boot another image'
}

# Shows the store to the booted system where imgboot's commands look for it, and, where it lies elsewhere on the
# disk, at that path, too: read-only, and nobody's but root's.
# $1: the new root
imgboot_show_store() {
  local root="$1" path
  # A boot in RAM from another engine's store may have none.
  [ -d "$imgboot_store_dir" ] || return 0
  set -- /var/lib/imgboot
  # The place of writable layers beside another engine's store has nothing to be found at its own path.
  [ -n "$imgboot_data_path" ] || [ "$imgboot_store_path" = "$1" ] || set -- "$1" "$imgboot_store_path"
  for path; do
    if imgboot_bind_store "$root$path" "$root" "$path"; then
      imgboot_store_shown=$path
    else
      imgboot_fallback "the store is not shown at $path: there is no such directory, and none can be made"
    fi
  done
}

# $1: where  $2: the new root  $3: the path in it
imgboot_bind_store() {
  # A path that links lead elsewhere is not followed: it may be the image's own, but it is not this one.
  imgboot_is_plain_path "$2" "$3" || return 1
  [ -d "$1" ] || { mkdir -p "${1%/*}" && mkdir -m 0700 "$1"; } 2> /dev/null || return 1
  mount --bind "$imgboot_store_dir" "$1" && mount -o remount,bind,ro none "$1"
}
