# shellcheck shell=dash disable=SC2034,SC2154
# The kernel command line. It is read by an allow-list into variables of fixed names; nothing in it is evaluated.

# root=, rootfstype=, rootflags=, ro or rw, init=
imgboot_root=
imgboot_rootfstype=
imgboot_rootflags=
imgboot_rootmode=ro
imgboot_init=
# imgboot.image=, imgboot.deployment=, imgboot.store=, imgboot.writable=, imgboot.keep=
imgboot_image=
imgboot_deployment=
imgboot_store=
# docker_path=
imgboot_docker_path=
imgboot_writable=
imgboot_keep=1
# toplayer=, toplayerfstype=, toplayerflags=, toplayer_path=, toplayer.digest=
imgboot_top=
imgboot_topfstype=
imgboot_topflags=
imgboot_toppath=
imgboot_topdigest=
# quiet, panic=, rd.shell, rd.break, rd.debug, rd.emergency=
imgboot_quiet=
imgboot_panic=
imgboot_shell=
imgboot_break=
imgboot_debug=
imgboot_emergency=
# imgboot.agent=: a serial port
imgboot_agent=
# rd.timeout=, rd.retry=, rootdelay=: seconds to wait for a device
imgboot_timeout=
imgboot_retry=
imgboot_rootdelay=
# modprobe.blacklist= and rd.driver.blacklist=: names between blanks
imgboot_blacklist=
# The first word with a value that makes no sense, and why; imgboot_check_parameters reports it.
imgboot_bad_parameter=
imgboot_bad_reason=

# Splits the command line as the kernel does (double quotes keep blanks together) and takes each word.
# What follows a word `--` is for init and is not ours.
# $1: the command line
imgboot_parse_cmdline() {
  local rest="$1" word chunk blank
  blank=$(printf ' \t')
  while :; do
    while :; do
      case $rest in
        ["$blank"]*) rest=${rest#?} ;;
        *) break ;;
      esac
    done
    [ -n "$rest" ] || return 0
    word=
    while :; do
      case $rest in
        '' | ["$blank"]*) break ;;
        \"*)
          rest=${rest#?}
          word=$word${rest%%\"*}
          case $rest in
            *\"*) rest=${rest#*\"} ;;
            *) rest= ;;
          esac
          ;;
        *)
          chunk=${rest%%[\""$blank"]*}
          word=$word$chunk
          rest=${rest#"$chunk"}
          ;;
      esac
    done
    [ "$word" != -- ] || return 0
    imgboot_take_parameter "$word"
  done
}

# Takes one word, if it is on the list; the last of a kind counts.
# $1: word
imgboot_take_parameter() {
  local value="${1#*=}"
  case $1 in
    root=*) imgboot_root=$value ;;
    rootfstype=*) imgboot_take_word "$1" "$value" '*[!A-Za-z0-9_.,-]*' 'a file system type' && imgboot_rootfstype=$value ;;
    rootflags=*) imgboot_rootflags=$value ;;
    ro | rw) imgboot_rootmode=$1 ;;
    init=*) imgboot_init=$value ;;
    quiet) imgboot_quiet=1 ;;
    panic=*) imgboot_take_word "$1" "${value#-}" '*[!0-9]*' 'a number of seconds' && imgboot_panic=$value ;;
    rootdelay=*) imgboot_take_word "$1" "$value" '*[!0-9]*' 'a number of seconds' && imgboot_rootdelay=$value ;;
    rd.timeout=*) imgboot_take_word "$1" "$value" '*[!0-9]*' 'a number of seconds' && imgboot_timeout=$value ;;
    rd.retry=*) imgboot_take_word "$1" "$value" '*[!0-9]*' 'a number of seconds' && imgboot_retry=$value ;;
    rd.shell | rd.shell=1) imgboot_shell=1 ;;
    rd.shell=0) imgboot_shell= ;;
    rd.break) imgboot_break="$imgboot_break pre-pivot " ;;
    rd.break=*)
      case $value in
        pre-trigger | initqueue | pre-mount | mount | pre-pivot) imgboot_break="$imgboot_break $value " ;;
        *) imgboot_refuse_parameter "$1" 'is none of pre-trigger, initqueue, pre-mount, mount, pre-pivot' ;;
      esac
      ;;
    rd.debug | rd.debug=1) imgboot_debug=1 ;;
    rd.emergency=*)
      case $value in
        reboot | poweroff | halt) imgboot_emergency=$value ;;
        *) imgboot_refuse_parameter "$1" 'is none of reboot, poweroff, halt' ;;
      esac
      ;;
    fsck.mode=* | fsck.repair=* | fastboot | forcefsck | fsckfix | resume=* | resume_offset=* | noresume)
      imgboot_take_plain_parameter "$1" "$value"
      ;;
    rd.watchdog=0) imgboot_watchdog= ;;
    rd.watchdog=?????*) imgboot_refuse_parameter "$1" 'is longer than 9999 seconds' ;;
    rd.watchdog=*) imgboot_take_word "$1" "$value" '*[!0-9]*' 'a number of seconds' && imgboot_watchdog=$value ;;
    rd.luks=* | rd.luks.*) imgboot_take_luks_parameter "$1" "$value" ;;
    rd.md=* | rd.md.* | rd.lvm=* | rd.lvm.*) imgboot_take_volume_parameter "$1" "$value" ;;
    modprobe.blacklist=* | rd.driver.blacklist=*) imgboot_take_blacklist "$value" ;;
    imgboot.image=docker://* | imgboot.image=containers-storage:* | docker_path=*)
      # Other boots do not spend the time.
      # shellcheck source=hooks/lib/engine.sh
      . "$imgboot_lib/engine.sh"
      case $1 in
        docker_path=*) imgboot_docker_path=${value:-/} ;;
        *) imgboot_image=$value ;;
      esac
      ;;
    imgboot.image=*) imgboot_image=$value ;;
    imgboot.deployment=*)
      # Other boots do not spend the time.
      # shellcheck source=hooks/lib/deployment.sh
      . "$imgboot_lib/deployment.sh"
      # shellcheck source=hooks/lib/persist.sh
      . "$imgboot_lib/persist.sh"
      if imgboot_is_deployment "$value"; then
        imgboot_deployment=$value
      else
        imgboot_refuse_parameter "$1" 'is neither NAME nor NAME/NUMBER of a deployment'
      fi
      ;;
    imgboot.store=*) imgboot_store=$value ;;
    imgboot.writable=*)
      case $value in
        ephemeral | persistent | previous | ram) imgboot_writable=$value ;;
        ram:size=*) imgboot_take_word "$1" "${value#ram:size=}" '*[!0-9kKmMgG%]*' 'a size' && imgboot_writable=$value ;;
        *) imgboot_refuse_parameter "$1" 'is none of ephemeral, persistent, previous, ram, ram:size=SIZE' ;;
      esac
      ;;
    imgboot.keep=*) imgboot_take_word "$1" "$value" '*[!0-9]*' 'a number' && imgboot_keep=$value ;;
    rd.overlay | rd.overlay=* | rd.overlay.*) imgboot_take_overlay_parameter "$1" "$value" ;;
    imgboot.agent=ttyS[0-9]) imgboot_agent=$value ;;
    imgboot.agent=*) imgboot_refuse_parameter "$1" 'is none of ttyS0 to ttyS9' ;;
    imgboot.*) imgboot_refuse_parameter "$1" 'is no parameter of this initramfs' ;;
    toplayer=*) imgboot_top=$value ;;
    toplayerfstype=*) imgboot_take_word "$1" "$value" '*[!A-Za-z0-9_.,-]*' 'a file system type' && imgboot_topfstype=$value ;;
    toplayerflags=*) imgboot_topflags=$value ;;
    toplayer_path=*) imgboot_toppath=$value ;;
    toplayer.digest=*)
      if imgboot_is_digest "$value"; then
        imgboot_topdigest=$value
      else
        imgboot_refuse_parameter "$1" 'is not sha256: with 64 small hexadecimal digits'
      fi
      ;;
  esac
}

# Whether a parameter's value has only the characters it may have; remembers it as bad otherwise.
# $1: the word  $2: its value  $3: a pattern that a good value does not match  $4: what a good value is
imgboot_take_word() {
  # The pattern is ours, so it is meant to be one.
  # shellcheck disable=SC2254
  case $2 in
    '' | $3)
      imgboot_refuse_parameter "$1" "is not $4"
      return 1
      ;;
  esac
}

# Remembers the first bad parameter: the console is not yet there to say so.
# $1: the word  $2: what is wrong with it
imgboot_refuse_parameter() {
  [ -z "$imgboot_bad_parameter" ] || return 0
  imgboot_bad_parameter=$1
  imgboot_bad_reason=$2
}

# $1: module names with commas between
imgboot_take_blacklist() {
  local rest="$1," name
  while [ -n "$rest" ]; do
    name=${rest%%,*}
    rest=${rest#*,}
    case $name in
      '' | *[!A-Za-z0-9_-]*) ;;
      *) imgboot_blacklist="$imgboot_blacklist $name" ;;
    esac
  done
}

# Whether the text is sha256: and 64 digits.
# $1: text
imgboot_is_digest() {
  case $1 in
    sha256:*[!0-9a-f]*) return 1 ;;
    sha256:*) [ "${#1}" -eq 71 ] ;;
    *) return 1 ;;
  esac
}

# Refuses to start on what was not understood: a machine that boots something else than was asked for is worse.
imgboot_check_parameters() {
  [ -z "$imgboot_bad_parameter" ] \
    || imgboot_fail "$imgboot_bad_parameter on the kernel command line" "$imgboot_bad_reason" \
      'correct the boot entry'
  [ -n "$imgboot_root" ] \
    || imgboot_fail 'mounting the root file system' 'there is no root= on the kernel command line' \
      'add one, such as root=UUID=... (blkid names it)'
  [ -z "$imgboot_docker_path" ] || imgboot_settle_docker_path
  [ -z "$imgboot_image" ] || [ -z "$imgboot_deployment" ] \
    || imgboot_fail "imgboot.deployment=$imgboot_deployment on the kernel command line" \
      "there is imgboot.image=$imgboot_image, too" 'leave one of the two in the boot entry'
  [ -z "$imgboot_image$imgboot_deployment" ] || [ -z "$imgboot_overlay" ] \
    || imgboot_fail "rd.overlay=$imgboot_overlay on the kernel command line" 'is for roots that are no image' \
      'say with imgboot.writable= where an image is written to, and take rd.overlay out'
  if [ -z "$imgboot_image$imgboot_deployment" ] && [ -n "$imgboot_top$imgboot_writable" ]; then
    imgboot_fail 'reading the kernel command line' 'it asks for a top or writable layer, but for no image' \
      'add imgboot.image=REFERENCE or imgboot.deployment=NAME'
  fi
}
