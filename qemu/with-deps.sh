#!/bin/sh
# Runs a command of this repository with its npm packages installed.
# $1...: the command and its arguments
#
# A clone has no node_modules and its machine may have an older Node: npm installs the pinned one,
# which then comes first on PATH.
set -eu
cd "$(dirname "$0")/.."

if ! command -v npm > /dev/null; then
  echo "with-deps: npm is missing; install Node.js 20 or later with npm (Debian: apt-get install nodejs npm)" >&2
  exit 1
fi
if ! cmp -s package-lock.json node_modules/.imgboot-lock; then
  echo "Installing the npm packages that package-lock.json names ..." >&2
  # Not npm ci: it refuses where a registry lacks the packages of other platforms that the lock file's packages name.
  # The versions are the lock file's all the same, and --no-save leaves that alone.
  npm install --no-save --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.imgboot-lock
fi
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec "$@"
