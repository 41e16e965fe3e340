# shellcheck shell=dash disable=SC2034,SC2154
# What a new root gets beside its layers: the directories of a deployment that outlive its versions, and, where a
# version is booted with another's kernel, that kernel's modules.

# Mounts the persistent directories of the deployment; one that cannot be had stops the boot.
# $1: the new root
imgboot_mount_persist() {
  [ -n "$imgboot_persist" ] || return 0
  local path tab mounted='
'
  tab=$(printf '\t')
  imgboot_step 'persistent directories'
  # Outer ones first, as the new root reads their names.
  while IFS= read -r path; do
    case $path/ in
      [!/]* | */../* | *"$tab"*) imgboot_broken_store "the persistent directory \"$path\" of deployments/$imgboot_name is no path" ;;
    esac
    imgboot_resolve_persist "$1" "$path"
    printf '%s/%s%s\n' "$imgboot_reply" "$tab" "$path"
  done > "$imgboot_run/persist" << END
${imgboot_persist%?}
END
  while IFS= read -r path; do
    path=${path#*"$tab"}
    imgboot_resolve_persist "$1" "$path"
    case $mounted in
      *"
$imgboot_reply
"*) imgboot_fail_persist "$path" "another one leads to $imgboot_reply, too" 'take one of the two out of the deployment' ;;
    esac
    mounted="$mounted$imgboot_reply
"
    imgboot_bind_persist "$1" "$path" "$imgboot_reply"
  done << END
$(sort "$imgboot_run/persist")
END
  rm -f "$imgboot_run/persist"
}

# Reads the symbolic links of a path as the new root does.
# $1: the new root  $2: the path
imgboot_resolve_persist() {
  imgboot_resolve_inside "$1" "$2" || imgboot_fail_persist "$2" 'its symbolic links go round in a circle' 'correct the image'
  [ -n "$imgboot_reply" ] || imgboot_fail_persist "$2" 'it leads to the root itself' 'take it out of the deployment'
}

# $1: the new root  $2: the path  $3: where it leads
imgboot_bind_persist() {
  local source error
  imgboot_percent_encode "$2"
  source=deployments/${imgboot_name%/*}/persist/$imgboot_reply
  if [ -L "$imgboot_store_dir/$source" ] || [ ! -d "$imgboot_store_dir/$source" ]; then
    imgboot_fail_persist "$2" "there is no directory $imgboot_store_path/$source" \
      'put it back (from a backup, or an empty one), or boot a version that does not have it'
  fi
  error=$({ mkdir -p "$1$3" && mount --bind "$imgboot_store_dir/$source" "$1$3"; } 2>&1) \
    || imgboot_fail_persist "$2" "$error" 'correct the image, or boot a version that does not have it'
}

# $1: the path  $2: what happened  $3: what to do
imgboot_fail_persist() {
  imgboot_fail "mounting the persistent directory $1 of $imgboot_name" "$2" "$3"
}

# A version that is booted in another's place runs with that one's kernel: it gets its modules where it has none for it.
# $1: the new root
imgboot_bring_modules() {
  local kver target error
  [ "$imgboot_name" != "${imgboot_version:-$imgboot_name}" ] || return 0
  read -r kver < /proc/sys/kernel/osrelease
  imgboot_find_modules "$1" "$kver" && return 0
  [ -n "$imgboot_reply" ] || return 0
  target=$1$imgboot_reply
  error=$(imgboot_bind_modules "$kver" "$target" 2>&1) \
    || imgboot_fallback "Linux $kver, the kernel of $imgboot_version, has no modules on $imgboot_name: ${error:-$imgboot_version is damaged}"
}

# Where a root has the modules of a kernel, or would have them: left in imgboot_reply, empty where its symbolic links
# go round in a circle. Status 1: it has none.
# $1: the root  $2: version of the kernel
imgboot_find_modules() {
  local lib=/usr/lib
  [ ! -e "$1/lib" ] && [ ! -L "$1/lib" ] || lib=/lib
  imgboot_resolve_inside "$1" "$lib/modules/$2" || {
    imgboot_reply=
    return 1
  }
  set -- "$1$imgboot_reply"/*
  [ -e "$1" ]
}

# Shows, read-only, the modules that the version asked for has in its layers.
# $1: version of the kernel  $2: where
imgboot_bind_modules() {
  local layers root status
  layers=$(imgboot_try_reading "$imgboot_version") || return 1
  case $layers in
    'overlay '*' '*)
      root=$imgboot_work/modules
      layers=$(printf '%s' "${layers#* }" | tr ' ' :)
      mkdir -p "$root" && imgboot_mount_in "$imgboot_store_dir/layers" -t overlay -o "ro,lowerdir=$layers" overlay "$root" \
        || return 1
      ;;
    *)
      # An overlay has two layers or more.
      layers=${layers#* }
      root=$imgboot_store_dir/layers/${layers%% *}
      ;;
  esac
  if imgboot_find_modules "$root" "$1"; then
    mkdir -p "$2" && mount --bind "$root$imgboot_reply" "$2" && mount -o remount,bind,ro none "$2"
    status=$?
  else
    printf '%s has none either' "$imgboot_version"
    status=1
  fi
  [ "$root" != "$imgboot_work/modules" ] || umount "$root"
  return "$status"
}
