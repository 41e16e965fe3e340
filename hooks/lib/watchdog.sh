# shellcheck shell=dash disable=SC2034,SC2154
# rd.watchdog=SECONDS: a boot that has not handed the machine over by then restarts it, whatever it hangs on.

imgboot_watchdog=
# The process that holds the watchdog, or counts in its place.
imgboot_watchdog_process=

# Starts counting. Nobody feeds it: busybox's watchdog would do so after an hour only, and lets go when it is ended.
imgboot_start_watchdog() {
  [ -n "$imgboot_watchdog" ] || return 0
  if [ ! -c /dev/watchdog ]; then
    host_load_hardware
    [ -c /dev/watchdog ] || host_load_module softdog
  fi
  if [ -c /dev/watchdog ]; then
    "$imgboot_bin/busybox" watchdog -F -t 3600 -T "$imgboot_watchdog" /dev/watchdog 2> /dev/null &
    imgboot_watchdog_process=$!
    sleep 0.1
    kill -0 "$imgboot_watchdog_process" 2> /dev/null && return 0
  fi
  imgboot_fallback "there is no watchdog; a timer restarts the machine in $imgboot_watchdog seconds, as long as the kernel runs"
  (
    sleep "$imgboot_watchdog"
    imgboot_tell_consoles "imgboot: the boot took longer than rd.watchdog=$imgboot_watchdog; restarting"
    sync
    reboot -f
  ) &
  imgboot_watchdog_process=$!
}

# The machine is handed over, or a person has it.
imgboot_stop_watchdog() {
  [ -n "$imgboot_watchdog_process" ] || return 0
  kill "$imgboot_watchdog_process" 2> /dev/null
  wait "$imgboot_watchdog_process" 2> /dev/null
  imgboot_watchdog_process=
}
