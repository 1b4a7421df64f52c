#!/usr/bin/env bash
# promtool into the given path: the one on PATH, else out of Debian's package, without installing it.
set -euo pipefail
wanted=$1
[ -x "$wanted" ] && exit 0

if found=$(command -v promtool); then
  ln -sf "$found" "$wanted"
  exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "promtool is not on PATH; install Prometheus (macOS: brew install prometheus) and run this again" >&2
  exit 1
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# Downloading needs no root; only a machine whose lists are empty or old needs `apt-get update` first.
if ! apt-get download -qq prometheus 2>why; then
  if [ "$(id -u)" != 0 ]; then
    cat why >&2
    echo "the package prometheus cannot be downloaded; run \`sudo apt-get update\` and this again" >&2
    exit 1
  fi
  apt-get update -qq
  apt-get download -qq prometheus
fi
dpkg-deb -x prometheus_*.deb .
cd - >/dev/null
install -m 755 "$folder/usr/bin/promtool" "$wanted"
