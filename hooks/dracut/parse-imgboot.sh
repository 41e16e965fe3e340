#!/bin/sh
# shellcheck disable=SC2034,SC2154
# dracut: a root of ours is none that dracut waits for, checks or mounts.

# shellcheck source=hooks/others/asked.sh
. /usr/lib/imgboot/asked.sh
if imgboot_is_asked "$(getcmdline)"; then
  root=imgboot
  rootok=1
  # Under systemd a generator asks for it before this.
  rm -f "$hookdir"/initqueue/finished/devexists-*.sh
fi
