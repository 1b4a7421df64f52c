#!/usr/bin/env bash
# A link at the given path to the folder of PostgreSQL's programs: those of this machine, else out of Debian's
# packages, without installing them.
set -euo pipefail
wanted=$1
[ -x "$wanted/initdb" ] && exit 0

found=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1 || true)
if [ -n "$found" ]; then
  ln -sfn "$(dirname "$(readlink -f "$found")")" "$wanted"
  exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "initdb is not on PATH; install PostgreSQL (macOS: brew install postgresql) and run this again" >&2
  exit 1
fi

files=$(dirname "$wanted")/postgresql-files
mkdir -p "$files"
files=$(cd "$files" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# `postgresql` is a name for whichever version Debian has; its one dependency of that name is the server.
server() { apt-cache depends postgresql 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^postgresql-[0-9]+$/ {print $2}'; }
# Downloading needs no root; only a machine whose lists are empty or old needs `apt-get update` first.
if [ -z "$(server)" ] || ! apt-get download -qq "$(server)" libpq5 2>why; then
  if [ "$(id -u)" != 0 ]; then
    [ -f why ] && cat why >&2
    echo "the package postgresql cannot be downloaded; run \`sudo apt-get update\` and this again" >&2
    exit 1
  fi
  apt-get update -qq
  apt-get download -qq "$(server)" libpq5
fi
for package in ./*.deb; do dpkg-deb -x "$package" "$files"; done
cd - >/dev/null
ln -sfn "$(dirname "$(ls "$files"/usr/lib/postgresql/*/bin/initdb)")" "$wanted"
