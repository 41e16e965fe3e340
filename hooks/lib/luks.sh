# shellcheck shell=dash disable=SC2034,SC2154
# LUKS: which devices are unlocked, under which names, and by what.

# rd.luks=0; the UUIDs of rd.luks.uuid= and UUID=NAME of rd.luks.name= (a line each), keys and options of the command
# line ([UUID=]..., a line each), rd.luks.crypttab=0, rd.luks.timeout=
imgboot_luks=1
imgboot_luks_wanted=
imgboot_luks_keys=
imgboot_luks_options=
imgboot_luks_crypttab=1
imgboot_luks_timeout=0
# Devices that cannot be unlocked, or are not to be, between blanks.
imgboot_luks_passed=' '
# Of the device that is looked at: name, key file, its device, options with commas between.
imgboot_luks_name=
imgboot_luks_key=
imgboot_luks_keydev=
imgboot_luks_flags=
imgboot_newline='
'

# Takes a word of the command line, if it is one of these.
# $1: the word  $2: its value
imgboot_take_luks_parameter() {
  case $1 in
    rd.luks=0 | rd.luks=no) imgboot_luks= ;;
    rd.luks=1 | rd.luks=yes) imgboot_luks=1 ;;
    rd.luks.crypttab=0 | rd.luks.crypttab=no) imgboot_luks_crypttab= ;;
    rd.luks.uuid=?*)
      imgboot_luks_uuid "$2"
      imgboot_luks_wanted="$imgboot_luks_wanted$imgboot_reply=$imgboot_newline"
      ;;
    rd.luks.name=?*=?*)
      case ${2#*=} in
        *[!A-Za-z0-9_.+-]* | control) imgboot_refuse_parameter "$1" 'has a name of other characters than A-Z a-z 0-9 _ . + -' ;;
        *)
          imgboot_luks_uuid "${2%%=*}"
          imgboot_luks_wanted="$imgboot_luks_wanted$imgboot_reply=${2#*=}$imgboot_newline"
          ;;
      esac
      ;;
    rd.luks.key=?*) imgboot_luks_keys="$imgboot_luks_keys$2$imgboot_newline" ;;
    rd.luks.options=?*) imgboot_luks_options="$imgboot_luks_options$2$imgboot_newline" ;;
    rd.luks.allow-discards) imgboot_luks_options="${imgboot_luks_options}discard$imgboot_newline" ;;
    rd.luks.allow-discards=?*) imgboot_luks_options="$imgboot_luks_options$2=discard$imgboot_newline" ;;
    rd.luks.timeout=*) imgboot_take_word "$1" "$2" '*[!0-9]*' 'a number of seconds' && imgboot_luks_timeout=$2 ;;
    *) imgboot_pass_over_parameter "$1" ;;
  esac
}

# A UUID as it is compared: small letters, without the prefix that dracut allows.
# $1: UUID
imgboot_luks_uuid() {
  imgboot_lower "${1#luks-}"
  imgboot_reply=${imgboot_reply#uuid=}
}

# The lines of the crypttab that the initramfs has.
imgboot_read_crypttab() {
  [ -z "$imgboot_luks_crypttab" ] || cat "${imgboot_crypttab:-/etc/crypttab}" 2> /dev/null
}

# Whether a device that was asked for is still to be unlocked.
imgboot_luks_is_awaited() {
  local line name source options
  [ -n "$imgboot_luks" ] || return 1
  if [ -n "$imgboot_luks_wanted" ]; then
    while IFS= read -r line; do
      [ -n "$line" ] || continue
      name=${line#*=}
      [ -n "$name" ] || imgboot_luks_name_of "${line%%=*}" && name=${name:-$imgboot_reply}
      imgboot_is_mapped "$name" || return 0
    done << EOF
$imgboot_luks_wanted
EOF
    return 1
  fi
  [ -e "${imgboot_crypttab:-/etc/crypttab}" ] || return 1
  imgboot_read_crypttab > "$imgboot_run/crypttab"
  while read -r name source line options; do
    case $name,$options, in
      ,* | '#'*) continue ;;
      *,nofail,*) continue ;;
    esac
    imgboot_is_mapped "$name" || return 0
  done < "$imgboot_run/crypttab"
  return 1
}

# Whether device mapper has a device whose name, or, with luks-, whose name's beginning is this.
# $1: name
imgboot_is_mapped() {
  local file name
  for file in /sys/class/block/dm-*/dm/name; do
    name=
    read -r name 2> /dev/null < "$file"
    case $name in
      "$1") return 0 ;;
      luks-*) case $name in "$1"*) return 0 ;; esac ;;
    esac
  done
  return 1
}

# The name that a UUID, or the beginning of one, gets: the crypttab's, or luks-UUID.
# $1: UUID
imgboot_luks_name_of() {
  local name source rest uuid
  imgboot_reply=luks-$1
  imgboot_read_crypttab > "$imgboot_run/crypttab"
  while read -r name source rest; do
    case $source in
      UUID=* | /dev/disk/by-uuid/*)
        imgboot_lower "${source#/dev/disk/by-uuid/}"
        uuid=${imgboot_reply#uuid=}
        imgboot_reply=luks-$1
        case $uuid in
          "$1"*)
            imgboot_reply=$name
            return 0
            ;;
        esac
        ;;
    esac
  done < "$imgboot_run/crypttab"
}

# Finds out whether a device is to be unlocked, and how: leaves its name, key and options. Status 1: it is not.
# $1: device  $2: its UUID
imgboot_luks_plan() {
  local line name='' wanted=''
  imgboot_luks_name='' imgboot_luks_key='' imgboot_luks_keydev='' imgboot_luks_flags=''
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    case $2 in
      "${line%%=*}"*)
        wanted=1
        name=${line#*=}
        ;;
    esac
  done << EOF
$imgboot_luks_wanted
EOF
  [ -n "$wanted" ] || [ -z "$imgboot_luks_wanted" ] || return 1
  if imgboot_luks_find_entry "$1" "$2"; then
    wanted=1
  elif [ -z "$wanted" ] && [ -s "$imgboot_run/crypttab" ]; then
    return 1
  fi
  imgboot_luks_name=${name:-${imgboot_luks_name:-luks-$2}}
  imgboot_luks_add_words "$2"
}

# Takes name, key and options of a device from the crypttab. Status 1: it is not there.
# $1: device  $2: its UUID
imgboot_luks_find_entry() {
  local name source key options
  imgboot_read_crypttab | grep -v -e '^[[:space:]]*#' -e '^[[:space:]]*$' > "$imgboot_run/crypttab"
  while read -r name source key options; do
    imgboot_is_device "$1" "$source" "$2" || continue
    imgboot_luks_name=$name
    imgboot_luks_flags=${options%%[ 	]*}
    case $key in
      '' | none | -) ;;
      *:/* | *:*=*) imgboot_luks_key=${key%%:*} imgboot_luks_keydev=${key#*:} ;;
      *) imgboot_luks_key=$key ;;
    esac
    return 0
  done < "$imgboot_run/crypttab"
  return 1
}

# Whether a specification means a device.
# $1: device  $2: specification  $3: the device's UUID
imgboot_is_device() {
  local device="$imgboot_device" fstype="$imgboot_fstype" members="$imgboot_members" status=1
  imgboot_canonical_spec "$2" || return 1
  case $imgboot_reply in
    UUID=*) [ "$imgboot_reply" = "UUID=$3" ] && status=0 ;;
    /*) imgboot_is_same_device "$imgboot_reply" "$1" && status=0 ;;
    *) imgboot_match_name "${imgboot_reply%%=*}" "${imgboot_reply#*=}" && [ "$imgboot_device" = "$1" ] && status=0 ;;
  esac
  imgboot_device=$device imgboot_fstype=$fstype imgboot_members=$members
  return "$status"
}

# Whether two paths are of one block device, which may have several nodes.
# $1: path  $2: path
imgboot_is_same_device() {
  [ -b "$1" ] && [ -b "$2" ] && [ "$(stat -L -c %t:%T "$1")" = "$(stat -L -c %t:%T "$2")" ]
}

# Adds what the command line says of keys and options.
# $1: the device's UUID
imgboot_luks_add_words() {
  local line rest
  while IFS= read -r line; do
    # FILE, FILE:KEYDEV, FILE:KEYDEV:LUKSDEV
    rest=${line#*:}
    case $line in
      '') continue ;;
      *:*:*)
        imgboot_luks_uuid "${rest#*:}"
        case $1 in
          "$imgboot_reply"*) imgboot_luks_key=${line%%:*} imgboot_luks_keydev=${rest%%:*} ;;
        esac
        ;;
      *:*) imgboot_luks_key=${line%%:*} imgboot_luks_keydev=$rest ;;
      *) imgboot_luks_key=$line imgboot_luks_keydev='' ;;
    esac
  done << EOF
$imgboot_luks_keys
EOF
  while IFS= read -r line; do
    # OPTIONS, or UUID=OPTIONS; tries=1 is an option.
    case ${line%%=*} in
      '') continue ;;
      ????????*-*[!0-9A-Fa-f-]* | *,*) imgboot_luks_flags="$imgboot_luks_flags,$line" ;;
      *[!0-9A-Fa-f-]* | ? | ?? | ???) imgboot_luks_flags="$imgboot_luks_flags,$line" ;;
      *)
        imgboot_luks_uuid "${line%%=*}"
        case $1 in
          "$imgboot_reply"*) imgboot_luks_flags="$imgboot_luks_flags,${line#*=}" ;;
        esac
        ;;
    esac
  done << EOF
$imgboot_luks_options
EOF
}

# Unlocks a device. Status 0: it was. Status 1: it was not, and is passed over.
# $1: device  $2: its UUID
imgboot_luks_unlock() {
  case $imgboot_luks_passed in
    *" $1 "*) return 1 ;;
  esac
  if ! imgboot_luks_plan "$1" "$2"; then
    imgboot_luks_passed="$imgboot_luks_passed$1 "
    return 1
  fi
  if ! imgboot_has_program cryptsetup "unlocking $1"; then
    imgboot_luks_passed="$imgboot_luks_passed$1 "
    return 1
  fi
  host_load_module dm_crypt
  imgboot_luks_open "$1"
}

# Opens a device as imgboot_luks_plan has left it; rd.debug shows nothing of that.
# $1: device
imgboot_luks_open() {
  local traced='' status=0
  case $- in
    *x*) traced=1 ;;
  esac
  { set +x; } 2> /dev/null
  imgboot_luks_try_all "$1" || status=1
  [ -z "$traced" ] || set -x
  return "$status"
}

# Opens a device by its key file, by a passphrase that has opened another, or by one that somebody types.
# $1: device
imgboot_luks_try_all() {
  local passphrase tries=3 timeout="$imgboot_luks_timeout" asks='' flag error='' awaited=''
  imgboot_luks_read_flags
  host_info "unlocking $1 as $imgboot_luks_name"
  if [ -n "$imgboot_luks_key" ]; then
    imgboot_luks_try_key "$1" && return 0
    # Its device may be yet to come.
    imgboot_now
    [ -z "$imgboot_luks_keydev" ] || [ "$imgboot_reply" -ge "$((imgboot_layers_since + imgboot_layers_patience))" ] || return 1
    imgboot_fallback "the key $imgboot_luks_key${imgboot_luks_keydev:+ on $imgboot_luks_keydev} does not open $1 ($imgboot_luks_name): ${imgboot_reply_error:-it is not there}; asking for a passphrase"
  fi
  # None of these holds a newline.
  while IFS= read -r passphrase; do
    [ -n "$passphrase" ] && imgboot_luks_try "$1" "$passphrase" && return 0
  done << EOF
$imgboot_passphrases
EOF
  [ -n "$imgboot_luks_wanted" ] || [ -s "$imgboot_run/crypttab" ] || awaited=$imgboot_layers_devices
  while [ "$tries" -gt 0 ]; do
    imgboot_ask_passphrase "Passphrase for $1 ($imgboot_luks_name):" "$timeout" "$awaited"
    case $? in
      1)
        imgboot_fail "unlocking $1 ($imgboot_luks_name)" "nobody typed a passphrase within $timeout seconds" \
          'start the machine again, or set rd.luks.timeout='
        ;;
      2) return 1 ;;
    esac
    passphrase=$imgboot_reply
    if imgboot_luks_try "$1" "$passphrase"; then
      imgboot_passphrases="$imgboot_passphrases$passphrase$imgboot_newline"
      return 0
    fi
    tries=$((tries - 1))
    host_warn "that passphrase does not open $1 ($imgboot_luks_name): ${imgboot_reply_error:-it is not one of its}; $tries more to try"
  done
  imgboot_fail "unlocking $1 ($imgboot_luks_name)" 'none of the passphrases opened it' \
    'start the machine again and type the right one; check the layout of the keyboard'
}

# Turns crypttab's options into those of cryptsetup, which are left in imgboot_luks_arguments.
imgboot_luks_read_flags() {
  local rest="$imgboot_luks_flags,"
  imgboot_luks_arguments=
  imgboot_luks_key_arguments=
  while [ -n "$rest" ]; do
    flag=${rest%%,*}
    rest=${rest#*,}
    case $flag in
      discard | allow-discards) imgboot_luks_arguments="$imgboot_luks_arguments --allow-discards" ;;
      no-read-workqueue) imgboot_luks_arguments="$imgboot_luks_arguments --perf-no_read_workqueue" ;;
      no-write-workqueue) imgboot_luks_arguments="$imgboot_luks_arguments --perf-no_write_workqueue" ;;
      same-cpu-crypt) imgboot_luks_arguments="$imgboot_luks_arguments --perf-same_cpu_crypt" ;;
      submit-from-crypt-cpus) imgboot_luks_arguments="$imgboot_luks_arguments --perf-submit_from_crypt_cpus" ;;
      readonly | read-only) imgboot_luks_arguments="$imgboot_luks_arguments --readonly" ;;
      header=/*[!A-Za-z0-9_./+-]*) host_warn "the option $flag of $imgboot_luks_name is passed over: a path with such characters" ;;
      header=/*) imgboot_luks_arguments="$imgboot_luks_arguments --header ${flag#*=}" ;;
      *=*[!0-9]* | *=) imgboot_luks_unknown "$flag" ;;
      key-slot=* | keyslot=*) imgboot_luks_arguments="$imgboot_luks_arguments --key-slot ${flag#*=}" ;;
      keyfile-offset=*) imgboot_luks_key_arguments="$imgboot_luks_key_arguments --keyfile-offset ${flag#*=}" ;;
      keyfile-size=*) imgboot_luks_key_arguments="$imgboot_luks_key_arguments --keyfile-size ${flag#*=}" ;;
      tries=0) tries=1000000 ;;
      tries=*) tries=${flag#*=} ;;
      timeout=*) timeout=${flag#*=} ;;
      *) imgboot_luks_unknown "$flag" ;;
    esac
  done
}

# $1: an option that cryptsetup need not hear of, or that nobody knows
imgboot_luks_unknown() {
  case $1 in
    '' | luks | luks2 | initramfs | nofail | _netdev | quiet | loud | noauto | force | x-initrd.attach | x-systemd.* | keyfile-timeout=*) ;;
    *) host_warn "the option $1 of $imgboot_luks_name is passed over: this initramfs does not know it" ;;
  esac
}

# Tries a passphrase; cryptsetup's words are left in imgboot_reply_error.
# $1: device  $2: passphrase
imgboot_luks_try() {
  # shellcheck disable=SC2086
  imgboot_reply_error=$(printf '%s' "$2" \
    | cryptsetup open --type luks --key-file - $imgboot_luks_arguments "$1" "$imgboot_luks_name" 2>&1)
}

# Tries the key file, of the initramfs or of another device.
# $1: device
imgboot_luks_try_key() {
  local file="$imgboot_luks_key" status device="$imgboot_device" fstype="$imgboot_fstype" members="$imgboot_members"
  imgboot_reply_error=
  if [ -n "$imgboot_luks_keydev" ]; then
    imgboot_canonical_spec "$imgboot_luks_keydev" && imgboot_find_device "$imgboot_reply" ''
    status=$?
    set -- "$1" "$imgboot_device" "$imgboot_fstype"
    imgboot_device=$device imgboot_fstype=$fstype imgboot_members=$members
    [ "$status" -eq 0 ] || return 1
    mkdir -p "$imgboot_work/key"
    host_load_module "$3"
    imgboot_reply_error=$(mount -t "$3" -o ro "$2" "$imgboot_work/key" 2>&1) || return 1
    imgboot_resolve_inside "$imgboot_work/key" "$file"
    file=$imgboot_work/key$imgboot_reply
  fi
  if [ -f "$file" ]; then
    # shellcheck disable=SC2086
    imgboot_reply_error=$(cryptsetup open --type luks --key-file "$file" $imgboot_luks_key_arguments \
      $imgboot_luks_arguments "$1" "$imgboot_luks_name" 2>&1)
    status=$?
  else
    imgboot_reply_error='there is no such file'
    status=1
  fi
  [ -z "$imgboot_luks_keydev" ] || umount "$imgboot_work/key"
  return "$status"
}
