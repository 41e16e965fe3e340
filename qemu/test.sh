#!/bin/sh
# Everything: installs what the tests need, builds, checks, and runs the tests that need root and those that boot
# machines. Stops at the first stage that fails; the last line says how many tests passed and failed.
#
# CI=true makes a tool that is missing a failure, where it is a skipped test otherwise.
set -eu
cd "$(dirname "$0")/.."

finish() {
  status=$?
  trap - EXIT
  show_consoles "$status"
  node qemu/count-tests.ts out/results "$status" || status=1
  exit "$status"
}

# The console of a boot that failed says why; CI shows nothing but what is printed.
# $1: the exit status so far
show_consoles() {
  [ "$1" -ne 0 ] && [ -d out/consoles ] || return 0
  for log in out/consoles/*.log; do
    [ -f "$log" ] || continue
    printf '\n--- the last lines of %s\n' "$log" >&2
    tail -n 60 "$log" >&2
  done
}

# $1: the vitest project
# The tests run in a mount namespace of their own: whatever happens to them, no mount stays.
run_project() {
  printf 'test: %s\n' "$1" >&2
  set -- vitest run --project "$1" --reporter=default --reporter=json --outputFile.json="out/results/$1.json"
  if [ "$(id -u)" -eq 0 ]; then
    set -- unshare --mount --propagation private -- "$@"
  fi
  "$@"
}

rm -rf out/results out/consoles
mkdir -p out/results
trap finish EXIT

npm run --silent build
if [ "$(id -u)" -eq 0 ]; then
  bin/imgboot doctor develop --install
fi
sh qemu/check.sh
if [ "$(id -u)" -eq 0 ]; then
  echo 'test: the root file systems that the tests share (kept in .cache)' >&2
  node test/support/make-fixtures.ts
fi
run_project system
run_project boot
