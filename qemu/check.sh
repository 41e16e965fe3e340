#!/bin/sh
# Everything that can be said about the sources without root or a machine: format, lint, types, dead code, shell,
# unit tests. Under a minute.
set -eu
cd "$(dirname "$0")/.."

# $1: what is checked
# $2...: the command
stage() {
  printf 'check: %s\n' "$1" >&2
  shift
  "$@"
}

# Every shell file of ours: by its name, or by its first line.
shell_files() {
  find hooks qemu bin .ci -type f \( -name '*.sh' -o -exec grep -qE '^#!/bin/(ba|da)?sh' {} \; \) -print | sort
}

check_shell() {
  if ! command -v shellcheck > /dev/null; then
    [ "${CI:-}" != true ] || {
      echo 'check: shellcheck is not installed: bin/imgboot doctor develop --install' >&2
      return 1
    }
    echo '*** SKIPPED: shellcheck is not installed: bin/imgboot doctor develop --install' >&2
    return 0
  fi
  # Names of files have no spaces here.
  # shellcheck disable=SC2046
  shellcheck $(shell_files)
}

# The command's exit status is the verdict; its JSON report is what test.sh counts.
mkdir -p out/results
stage format prettier --check --log-level warn .
stage lint oxlint
stage types tsc -p tsconfig.json
stage 'dead code' knip
stage shell check_shell
stage 'unit tests' vitest run --project unit --reporter=default --reporter=json --outputFile.json=out/results/unit.json
