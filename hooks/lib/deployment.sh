# shellcheck shell=dash disable=SC2034,SC2154
# Deployments: the version that the command line asks for, how often it was tried, and the good one that is booted in
# its place when its tries are used up. docs/architecture.md, 4.7. What is read here of a version may be damaged, and
# a value that makes no sense is passed over: it is what a machine gets up by.

# The version that imgboot.deployment= means, NAME/NUMBER.
imgboot_version=
# Which boot this is of a version that is not yet found good; empty: it is good, or booted in place of another.
imgboot_try_number=
# What a boot file says of a version beside its image: the good version before it; the boots that it gets to show
# itself good; its persistent directories, a line each; where the loader has its configuration.
imgboot_previous=
imgboot_tries_allowed=3
imgboot_persist=
imgboot_loader=
imgboot_loader_uuid=
imgboot_loader_fstype=
imgboot_loader_directory=
# The boots that were counted.
imgboot_tries=0
# Of a boot that is counted: what is booted when the tries are used up, if there is anything, and how many there are.
imgboot_fallback_version=
imgboot_last_try=

# Whether a text is the NAME or NAME/NUMBER of a deployment.
# $1: text
imgboot_is_deployment() {
  local name="${1%%/*}"
  case $name in
    '' | [!a-z0-9]* | *[!a-z0-9._-]*) return 1 ;;
  esac
  [ "${#name}" -le 63 ] || return 1
  [ "$name" = "$1" ] || imgboot_is_number "${1#*/}"
}

# Whether a text is a number that counts something.
# $1: text
imgboot_is_number() {
  case $1 in
    '' | 0* | *[!0-9]* | ?????????*) return 1 ;;
  esac
}

# Chooses the version that is booted, counts the boot, and reads its boot file.
imgboot_open_deployment() {
  imgboot_find_version
  if [ -z "$imgboot_version" ]; then
    imgboot_list_versions
    imgboot_fail "looking for the deployment $imgboot_deployment" \
      "the store $imgboot_store_path on $imgboot_device has no such deployment; it has: $imgboot_reply" \
      'correct imgboot.deployment= in the boot entry, or deploy an image with imgboot deploy'
  fi
  imgboot_name=$imgboot_version
  imgboot_count_try
  imgboot_read_version "$imgboot_name"
  imgboot_read_boot_file "$imgboot_store_dir/deployments/$imgboot_name/boot"
}

# Finds the version that is meant: the one that is named, or the newest that has not used up its tries, or the newest.
# It is left in imgboot_version; empty: there is none.
imgboot_find_version() {
  local path number newest=0 fit=0
  imgboot_version=
  case $imgboot_deployment in
    */*)
      [ ! -d "$imgboot_store_dir/deployments/$imgboot_deployment" ] || imgboot_version=$imgboot_deployment
      return 0
      ;;
  esac
  for path in "$imgboot_store_dir/deployments/$imgboot_deployment"/*/boot; do
    number=${path%/boot}
    number=${number##*/}
    imgboot_is_number "$number" || continue
    [ "$number" -le "$newest" ] || newest=$number
    [ "$number" -le "$fit" ] || ! imgboot_has_tries "$imgboot_deployment/$number" || fit=$number
  done
  [ "$fit" -ne 0 ] || fit=$newest
  [ "$fit" -eq 0 ] || imgboot_version=$imgboot_deployment/$fit
}

# $1: a version
imgboot_is_good() {
  [ -e "$imgboot_store_dir/deployments/$1/good" ]
}

# Whether a version is good, or may still show it.
# $1: the version
imgboot_has_tries() {
  imgboot_is_good "$1" && return 0
  imgboot_read_version "$1"
  imgboot_read_tries "$1"
  [ "$imgboot_tries" -lt "$imgboot_tries_allowed" ]
}

# Reads how often a version was tried. Status 1: the file is damaged.
# $1: the version
imgboot_read_tries() {
  local file="$imgboot_store_dir/deployments/$1/tries" line=''
  imgboot_tries=0
  [ -f "$file" ] || return 0
  read -r line 2> /dev/null < "$file"
  imgboot_is_number "$line" && [ "$line" -le 9999 ] && imgboot_tries=$line
}

# Counts this boot, before anything is made, unless the version is known as good. When its tries are used up, another
# is booted in its place.
imgboot_count_try() {
  local tries allowed error
  ! imgboot_is_good "$imgboot_version" || return 0
  imgboot_read_tries "$imgboot_version" \
    || imgboot_fallback "deployments/$imgboot_version/tries is damaged: counting its boots from 1 again"
  imgboot_read_version "$imgboot_version"
  tries=$imgboot_tries
  allowed=$imgboot_tries_allowed
  imgboot_find_previous
  if [ "$tries" -ge "$allowed" ] && [ -n "$imgboot_previous" ]; then
    imgboot_fall_back "$tries"
    return 0
  fi
  [ "$tries" -lt "$allowed" ] \
    || imgboot_fallback "$imgboot_version was booted $tries times and never found good; going on with it, since no good version is there to boot in its place"
  imgboot_try_number=$((tries + 1))
  imgboot_fallback_version=$imgboot_previous
  imgboot_last_try=$allowed
  error=$(imgboot_record_try "$imgboot_store_dir/deployments/$imgboot_version/tries" 2>&1) \
    || imgboot_fallback "this boot of $imgboot_version could not be counted: $error"
}

# Boots the good version in place of the one that was asked for.
# $1: how often that was tried
imgboot_fall_back() {
  imgboot_name=$imgboot_previous
  imgboot_fallback "$imgboot_version was booted $1 times and never found good; booting $imgboot_name in its place"
  # It may never have had one.
  if [ "$imgboot_writable" = previous ] && [ ! -d "$imgboot_store_dir/deployments/$imgboot_name/ephemeral" ]; then
    imgboot_fallback "$imgboot_name has no last ephemeral layer: making a new one"
    imgboot_writable=ephemeral
  fi
}

# $1: the file
imgboot_record_try() {
  # What the disk has after a power cut is the number before, or this one.
  printf '%s\n' "$imgboot_try_number" > "$1.new" && sync -f "$1.new" && mv "$1.new" "$1" && sync -f "$1"
}

# Finds the version that is booted when the tries of the one asked for are used up: the one that its boot file names,
# or, where that is not there or the file damaged, the newest good one of its name. It is left in imgboot_previous;
# empty: there is none.
imgboot_find_previous() {
  local name="${imgboot_version%/*}" path number newest=0
  [ -z "$imgboot_previous" ] || ! imgboot_is_whole "$imgboot_previous" || return 0
  for path in "$imgboot_store_dir/deployments/$name"/*/good; do
    number=${path%/good}
    number=${number##*/}
    imgboot_is_number "$number" || continue
    [ "$number" -le "$newest" ] || ! imgboot_is_whole "$name/$number" || newest=$number
  done
  imgboot_previous=
  [ "$newest" -eq 0 ] || imgboot_previous=$name/$newest
}

# Whether a version other than the one asked for has a boot file and layers that could be booted.
# $1: the version
imgboot_is_whole() {
  [ "$1" != "$imgboot_version" ] && imgboot_try_reading "$1" > /dev/null
}

# Reads the image of a version without failing, and prints its driver and layers.
# $1: the version
imgboot_try_reading() (
  # shellcheck disable=SC2317
  host_die() { exit 1; }
  imgboot_read_boot_file "$imgboot_store_dir/deployments/$1/boot"
  printf '%s%s\n' "$imgboot_driver" "$imgboot_layers"
)

# Reads what the boot file says of a version beside its image.
# $1: the version
imgboot_read_version() {
  local file="$imgboot_store_dir/deployments/$1/boot" line value
  imgboot_previous='' imgboot_tries_allowed=3 imgboot_persist=''
  imgboot_loader='' imgboot_loader_uuid='' imgboot_loader_fstype='' imgboot_loader_directory=''
  [ -f "$file" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    value=${line#*=}
    case $line in
      previous=*/*) ! imgboot_is_deployment "$value" || imgboot_previous=$value ;;
      try=*) ! imgboot_is_number "$value" || imgboot_tries_allowed=$value ;;
      persist=*)
        imgboot_persist="$imgboot_persist$value
"
        ;;
      loader=*) imgboot_loader=$value ;;
      bootuuid=*) imgboot_loader_uuid=$value ;;
      bootfstype=*) imgboot_loader_fstype=$value ;;
      bootdir=*) imgboot_loader_directory=$value ;;
    esac
  done < "$file"
}

# The versions that the store has, with commas between.
imgboot_list_versions() {
  local path version list=''
  for path in "$imgboot_store_dir"/deployments/*/*/boot; do
    version=${path%/boot}
    version=${version#"$imgboot_store_dir/deployments/"}
    ! imgboot_is_deployment "$version" || list="$list, $version"
  done
  imgboot_reply=${list#, }
  imgboot_reply=${imgboot_reply:-none}
}

# A boot that was counted, and fails, makes room for the next, without anybody at the keyboard.
imgboot_try_again() {
  [ -n "$imgboot_try_number" ] && [ -n "$imgboot_fallback_version" ] || return 0
  imgboot_tell_consoles "imgboot: restarting: this was boot $imgboot_try_number of $imgboot_version; after boot $imgboot_last_try, $imgboot_fallback_version is booted in its place."
  sleep 5
  imgboot_end_machine reboot
}

# Leaves the booted system /run/initramfs/bless, by which it says that this was a good boot, and the unit that does so
# where systemd has reached its targets.
imgboot_leave_bless() {
  local told='' target
  cp "$imgboot_lib/bless" /run/initramfs/
  chmod 0755 /run/initramfs/bless
  if [ -z "$imgboot_loader_uuid" ]; then
    imgboot_loader_fstype=$imgboot_fstype
  fi
  printf '%s\n' "$imgboot_store_shown" "$imgboot_name" "$imgboot_loader" "${imgboot_loader_uuid:-$imgboot_device}" \
    "$imgboot_loader_fstype" "$imgboot_loader_directory" > /run/initramfs/bless.order
  if [ "$imgboot_name" != "$imgboot_version" ]; then
    # It would find the entry good that failed.
    ln -sf /dev/null /run/systemd/system/systemd-bless-boot.service
    return 0
  fi
  if imgboot_is_good "$imgboot_name"; then
    read -r told 2> /dev/null < "$imgboot_place/good"
    [ "$told" = untold ] || return 0
  fi
  if [ "$imgboot_loader_fstype" = vfat ]; then
    # The image may have no modprobe.
    for target in vfat nls_cp437 nls_ascii nls_iso8859_1 nls_utf8; do
      host_load_module "$target"
    done
  fi
  printf '%s\n' '[Unit]' "Description=Note that the boot of $imgboot_name was a good one" \
    'After=multi-user.target graphical.target default.target' '' '[Service]' 'Type=oneshot' 'RemainAfterExit=yes' \
    'ExecStart=/run/initramfs/bin/busybox sh /run/initramfs/bless' > /run/systemd/system/imgboot-bless.service
  for target in multi-user default; do
    mkdir -p "/run/systemd/system/$target.target.d"
    printf '%s\n' '[Unit]' 'Wants=imgboot-bless.service' > "/run/systemd/system/$target.target.d/imgboot-bless.conf"
  done
}
