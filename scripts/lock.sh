#!/usr/bin/env bash
# Writes the hashed lists of packages. They hold no address of any index, so they work with whichever the machine uses.
set -euo pipefail
uv=$1
compile() {
  local output=$1
  shift
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --output-file "$output" "$@"
}
compile requirements.txt pyproject.toml
compile requirements-dev.txt pyproject.toml requirements-build.in --group dev --constraints requirements.txt
compile requirements-go.txt requirements-go.in
if grep -nE '://' requirements.txt requirements-dev.txt requirements-go.txt; then
  echo "lock: an address got into the lists of packages" >&2
  exit 1
fi
