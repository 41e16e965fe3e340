#!/bin/sh
# From a bare clone to the login prompt of a Debian that was booted from a container image.
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo 'demo: making images and disks needs root: sudo npm run demo' >&2
  exit 1
fi
echo '== Building imgboot' >&2
npm run --silent build
echo '== What this machine lacks for it' >&2
bin/imgboot doctor bootstrap build mkinitramfs qemu --install
exec node qemu/demo.ts
