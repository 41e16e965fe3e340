# shellcheck shell=dash disable=SC2034,SC2154
# What is said on the consoles, and what is done when a boot cannot go on: a part of the port
# (imgboot.sh) that is the same for all who have the machine for themselves.

# $1: text
host_info() {
  [ -n "$imgboot_quiet" ] || printf 'imgboot: %s\n' "$1"
}

# $1: text
host_warn() {
  imgboot_printable "imgboot: $1"
  imgboot_tell_consoles "$imgboot_reply"
}

# $1: text
host_die() {
  # What runs below a command substitution must not go on, and neither must what called it.
  imgboot_tell_consoles "$1"
  imgboot_give_up
}

# $1: point
host_break() {
  case $imgboot_break in
    *" $1 "*)
      imgboot_tell_consoles "imgboot: a shell at $1, as rd.break asks for; the boot goes on when it ends."
      imgboot_open_shell
      ;;
  esac
}

# Says a line on every console that the kernel has, and to its log (as debug: the consoles have it already).
# $1: the line
imgboot_tell_consoles() {
  local console consoles=console
  read -r consoles 2> /dev/null < /sys/class/tty/console/active
  for console in $consoles; do
    # A console that nobody serves gives an error when it is opened, which must not end the shell.
    [ -c "/dev/$console" ] && (printf '%s\r\n' "$1" > "/dev/$console") 2> /dev/null
  done
  (printf '<7>%s\n' "$1" > /dev/kmsg) 2> /dev/null
}

# What the command line wants done when the boot cannot go on.
imgboot_give_up() {
  if [ -n "$imgboot_panic" ]; then
    [ "$imgboot_panic" -ne 0 ] || imgboot_end_machine halt
    [ "$imgboot_panic" -lt 0 ] || sleep "$imgboot_panic"
    imgboot_end_machine reboot
  fi
  if [ -n "$imgboot_shell" ]; then
    imgboot_tell_consoles 'imgboot: a shell, as rd.shell asks for; the machine restarts when it ends.'
    imgboot_open_shell
    imgboot_end_machine reboot
  fi
  [ -z "$imgboot_deployment" ] || [ -n "$imgboot_emergency" ] || imgboot_try_again
  imgboot_end_machine "${imgboot_emergency:-halt}"
}

# Leaves the disks clean and ends the machine.
# $1: halt, poweroff or reboot
imgboot_end_machine() {
  cd /
  [ "$1" != halt ] || imgboot_tell_consoles 'imgboot: the machine is halted.'
  umount -a -r 2> /dev/null
  sync
  "$1" -f
  while :; do sleep 60; done
}

# A shell on the console, with job control where that can be had.
imgboot_open_shell() {
  imgboot_stop_watchdog
  # The keyboard's driver may not have been needed so far.
  host_load_hardware
  PS1='imgboot# ' setsid cttyhack sh
}
