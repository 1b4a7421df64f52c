#!/usr/bin/env bash
# A browser that looks at the pages: the one on PATH, else Debian's package. Without it those tests are skipped.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get install -qq --yes --no-install-recommends chromium >/dev/null 2>&1 && exit 0
  apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium >/dev/null && exit 0
fi
echo "no chromium: tests that look at pages are skipped; install it (Debian: sudo apt-get install chromium)" >&2
