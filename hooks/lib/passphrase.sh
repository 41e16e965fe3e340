# shellcheck shell=dash disable=SC2034,SC2154
# A passphrase, asked for on every console of the kernel at once. What was typed is kept in variables and, for a moment,
# in a file in RAM that only root may read; it is never an argument of a program, and rd.debug does not show it.

# Passphrases that have opened something, a line each: the next disk may have the same.
imgboot_passphrases=

# Asks until somebody has typed a line; it is left in imgboot_reply.
# Status 1: nobody did in time. Status 2: a device came meanwhile, and that was to end it.
# $1: the question  $2: seconds to wait, 0 for ever  $3: the devices, as imgboot_list_devices has them, to be told of
# others; empty otherwise
imgboot_ask_passphrase() {
  local since end readers status=''
  imgboot_now
  since=$imgboot_reply
  end=$((since + $2 * 1000))
  rm -f "$imgboot_run/passphrase"
  while [ -z "$status" ]; do
    imgboot_start_readers "$1"
    readers=$imgboot_reply
    while [ -z "$status" ]; do
      sleep 0.2
      # The keyboard may only now be plugged in.
      host_load_hardware
      imgboot_list_devices
      if [ -e "$imgboot_run/passphrase" ]; then
        status=0
      elif [ -n "$3" ] && [ "$imgboot_reply" != "$3" ]; then
        status=2
      else
        imgboot_now
        [ "$2" -eq 0 ] || [ "$imgboot_reply" -lt "$end" ] || status=1
        # A console that hung up is opened again.
        # shellcheck disable=SC2086
        kill -0 $readers 2> /dev/null || break
      fi
    done
    imgboot_stop_readers "$readers"
  done
  # Nobody's time to type is a device's time to come.
  imgboot_now
  imgboot_deadline=$((imgboot_deadline + imgboot_reply - since))
  imgboot_reply=
  [ "$status" -ne 0 ] || IFS= read -r imgboot_reply < "$imgboot_run/passphrase"
  rm -f "$imgboot_run/passphrase"
  return "$status"
}

# The kernel's consoles that can be read, as paths between blanks.
imgboot_list_consoles() {
  local console consoles=console
  imgboot_reply=
  read -r consoles 2> /dev/null < /sys/class/tty/console/active
  for console in $consoles; do
    [ -c "/dev/$console" ] && imgboot_reply="$imgboot_reply /dev/$console"
  done
}

# Starts a reader for each console; their process ids are left in imgboot_reply.
# $1: the question
imgboot_start_readers() {
  local console ids=''
  imgboot_list_consoles
  for console in $imgboot_reply; do
    imgboot_read_line "$console" "$1" &
    ids="$ids $!"
  done
  imgboot_reply=$ids
}

# Reads one line without showing it. The rename publishes it whole.
# $1: console  $2: the question
imgboot_read_line() {
  local line='' new="$imgboot_run/passphrase.${1##*/}"
  # shellcheck disable=SC2094
  exec < "$1" > "$1" 2> /dev/null || exit 1
  stty -echo
  printf '%s ' "$2"
  IFS= read -r line || exit 1
  umask 077
  printf '%s\n' "$line" > "$new" && mv "$new" "$imgboot_run/passphrase"
  exit 0
}

# $1: process ids
imgboot_stop_readers() {
  local console
  # shellcheck disable=SC2086
  kill $1 2> /dev/null
  # shellcheck disable=SC2086
  wait $1 2> /dev/null
  imgboot_list_consoles
  for console in $imgboot_reply; do
    # A console that nobody serves gives an error when it is opened, which must not end the shell.
    (stty echo < "$console" && printf '\r\n' > "$console") 2> /dev/null
  done
}
