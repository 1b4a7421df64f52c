#!/usr/bin/env bash
# promtool and prometheus into the given folder: those on PATH, else out of Debian's package, without installing it.
set -euo pipefail
bin=$1
missing=()
for tool in promtool prometheus; do
  [ -x "$bin/$tool" ] && continue
  if found=$(command -v "$tool"); then ln -sf "$found" "$bin/$tool"; else missing+=("$tool"); fi
done
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "${missing[*]}: not on PATH; install Prometheus (macOS: brew install prometheus) and run this again" >&2
  exit 1
fi

bin=$(cd "$bin" && pwd)
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
for tool in "${missing[@]}"; do install -m 755 "$folder/usr/bin/$tool" "$bin/$tool"; done
