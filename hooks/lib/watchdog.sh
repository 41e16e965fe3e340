# shellcheck shell=dash disable=SC2034,SC2154
# rd.watchdog=SECONDS: a boot that has not handed the machine over by then restarts it, whatever it hangs on. A timer
# does so where the shell still runs, and the machine's watchdog, ten seconds later, where nothing does.

imgboot_watchdog=
# The processes of the timer and of what holds the watchdog, between blanks.
imgboot_watchdog_processes=

imgboot_start_watchdog() {
  [ -n "$imgboot_watchdog" ] || return 0
  (
    sleep "$imgboot_watchdog"
    imgboot_tell_consoles "imgboot: the boot takes longer than rd.watchdog=$imgboot_watchdog has it; restarting"
    # A disk that hangs must not hold this up.
    sync &
    sleep 1
    reboot -f
  ) &
  imgboot_watchdog_processes=$!
  if [ ! -c /dev/watchdog ]; then
    host_load_hardware
    [ -c /dev/watchdog ] || host_load_module softdog
  fi
  if [ -c /dev/watchdog ]; then
    # It would be fed after an hour only; the program lets go of it when it is ended.
    "$imgboot_bin/busybox" watchdog -F -t 3600 -T "$((imgboot_watchdog + 10))" /dev/watchdog 2> /dev/null &
    imgboot_watchdog_processes="$imgboot_watchdog_processes $!"
  else
    imgboot_fallback 'rd.watchdog= has a timer only: this machine and the initramfs have no watchdog'
  fi
}

# The machine is handed over, or a person has it.
imgboot_stop_watchdog() {
  [ -n "$imgboot_watchdog_processes" ] || return 0
  # shellcheck disable=SC2086
  kill $imgboot_watchdog_processes 2> /dev/null
  # shellcheck disable=SC2086
  wait $imgboot_watchdog_processes 2> /dev/null
  imgboot_watchdog_processes=
}
