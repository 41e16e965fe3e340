#!/bin/sh
# The budgets of docs/architecture.md, measured against our peers on this machine; writes docs/benchmarks.md.
# $1...: parts to measure (start, initramfs, boot, unpack, build, run, deploy, toplayer, know, memory); all by default, and
# only then is the file written
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
  echo 'bench: unpacking images and making disks needs root: sudo npm run bench' >&2
  exit 1
fi
npm run --silent build
bin/imgboot doctor bench --install > /dev/null
# A mount namespace of its own: no mount outlives it.
exec unshare --mount --propagation private -- node qemu/bench.ts "$@"
