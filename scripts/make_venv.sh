#!/usr/bin/env bash
# Makes the virtual environment. Debian splits `venv` off from Python: as root it is installed, otherwise we say how.
set -euo pipefail
python=$1 venv=$2
if ! command -v "$python" >/dev/null; then
  echo "setup: $python not found; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3 setup" >&2
  exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "setup: $("$python" --version) is too old; Skep needs 3.11 or newer: make PYTHON=/path/to/python3 setup" >&2
  exit 1
fi
if [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  exit 0
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing python3-venv"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
  else
    echo "setup: $python has no venv; run: sudo apt-get install python3-venv" >&2
    exit 1
  fi
fi
echo "setup: making $venv with $("$python" --version)"
"$python" -m venv "$venv"
