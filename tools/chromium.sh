#!/bin/sh
# Make sure the browser tests have a Chromium: the system's, else Debian's package (as root), else Playwright's own.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then
        exit 0
    fi
done

if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then
        echo "Chromium is missing: installing Debian's packages chromium and fonts-liberation …"
        export DEBIAN_FRONTEND=noninteractive
        if apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-liberation >/dev/null; then
            exit 0
        fi
        echo "Debian's Chromium could not be installed."
    else
        echo "Chromium is missing; 'sudo apt-get install chromium fonts-liberation' would install the system's."
    fi
fi

echo "Installing Playwright's own Chromium …"
if ! "$PY" -m playwright install chromium; then
    echo "The browser tests need Chromium: install it with your package manager and run this again." >&2
    exit 1
fi
