# shellcheck shell=dash disable=SC2034,SC2154
# Text: what is printed, encoded or escaped. No function here forks where the text is plain.
# A function that answers with text leaves it in imgboot_reply: a command substitution costs a process.

imgboot_reply=

# Makes text fit one line of a console: control characters and bytes that are not ASCII become "?".
# $1: text
imgboot_printable() {
  local rest char
  imgboot_reply=$1
  case $1 in
    *[![:print:]]*) ;;
    *) return 0 ;;
  esac
  imgboot_reply=
  rest=$1
  while [ -n "$rest" ]; do
    char=${rest%"${rest#?}"}
    rest=${rest#?}
    case $char in
      [[:print:]]) imgboot_reply=$imgboot_reply$char ;;
      *) imgboot_reply="$imgboot_reply?" ;;
    esac
  done
}

# Encodes a reference as its file name in the store: every byte outside [A-Za-z0-9._-] as %XX.
# $1: reference
imgboot_percent_encode() {
  local rest="$1" char hex
  imgboot_reply=
  while [ -n "$rest" ]; do
    char=${rest%"${rest#?}"}
    rest=${rest#?}
    case $char in
      [A-Za-z0-9._-]) imgboot_reply=$imgboot_reply$char ;;
      :) imgboot_reply=$imgboot_reply%3A ;;
      /) imgboot_reply=$imgboot_reply%2F ;;
      @) imgboot_reply=$imgboot_reply%40 ;;
      *)
        hex=$(printf '%s' "$char" | od -An -v -tx1 | tr -d ' \n' | tr '[:lower:]' '[:upper:]')
        while [ -n "$hex" ]; do
          imgboot_reply=$imgboot_reply%${hex%"${hex#??}"}
          hex=${hex#??}
        done
        ;;
    esac
  done
}

# Writes text as a JSON string, quotes included.
# $1: text
imgboot_json_string() {
  local rest char
  case $1 in
    *[\"\\]* | *[[:cntrl:]]*) ;;
    *)
      imgboot_reply="\"$1\""
      return 0
      ;;
  esac
  imgboot_reply='"'
  rest=$1
  while [ -n "$rest" ]; do
    char=${rest%"${rest#?}"}
    rest=${rest#?}
    case $char in
      \" | \\) imgboot_reply="$imgboot_reply\\$char" ;;
      [[:cntrl:]]) imgboot_reply=$imgboot_reply$(printf '\\u%04x' "'$char") ;;
      *) imgboot_reply=$imgboot_reply$char ;;
    esac
  done
  imgboot_reply="$imgboot_reply\""
}

# Lower case, as UUIDs are compared.
# $1: text
imgboot_lower() {
  imgboot_reply=$1
  case $1 in
    *[A-Z]*) imgboot_reply=$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') ;;
  esac
}

# Undoes udev's encoding of labels in /dev/disk/by-label: \xHH stands for a byte.
# $1: encoded text
imgboot_udev_decode() {
  local rest="$1" byte
  imgboot_reply=
  while :; do
    case $rest in
      *\\x[0-9a-fA-F][0-9a-fA-F]*)
        imgboot_reply=$imgboot_reply${rest%%\\x[0-9a-fA-F][0-9a-fA-F]*}
        rest=${rest#*\\x}
        byte=${rest%"${rest#??}"}
        rest=${rest#??}
        imgboot_reply=$imgboot_reply$(printf '%b' "\\0$(printf '%03o' "0x$byte")")
        ;;
      *)
        imgboot_reply=$imgboot_reply$rest
        return 0
        ;;
    esac
  done
}

# The time since the kernel started, in milliseconds.
imgboot_now() {
  local uptime fraction
  read -r uptime _ < /proc/uptime
  fraction=${uptime#*.}
  imgboot_reply=$((${uptime%.*} * 1000 + (1$fraction - 100) * 10))
}
