#!/bin/sh
# Cuts a machine's power at many points of deploy, upgrade, rollback, undeploy and boot, and looks at what boots then;
# writes the figures to docs/power-cuts.md.
# $1: points; 200 by default
# $2...: kinds of disk, as FILESYSTEM:LOADER:FIRMWARE; by default two, and only then are the figures written
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo 'power-cut: making images and disks needs root: sudo npm run power-cut' >&2
  exit 1
fi
npm run --silent build
bin/imgboot doctor develop --install > /dev/null
# A mount namespace of its own: no mount outlives it.
exec unshare --mount --propagation private -- node qemu/power-cut.ts "$@"
