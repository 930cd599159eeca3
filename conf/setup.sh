#!/usr/bin/env bash
# Makes .venv from the lock file, finds or installs Java, fetches Delta's jars; says how long each took.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3.11}
command -v "$python" >/dev/null || python=python3
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  echo "Python 3.11 is needed, '$python' is $("$python" --version 2>&1 || echo missing)." >&2
  echo "On Debian 12: sudo apt-get install python3.11 python3.11-venv. Elsewhere name one: make setup PYTHON=/path/to/python3.11" >&2
  exit 2
fi
step() { # step "what" command...: run it, print the seconds
  local what=$1 begun=$SECONDS; shift
  "$@"
  printf '  %-24s %5d s\n' "$what" $((SECONDS - begun))
}
environment() {
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then # none, or what a venv without ensurepip left behind
    rm -rf .venv
    "$python" -m venv .venv || { rm -rf .venv; echo "On Debian 12: sudo apt-get install python3.11-venv" >&2; exit 2; }
  fi
  [ -x .venv/bin/uv ] || .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r conf/uv.lock
}
spark() { # as a source distribution: built, without the packing that would be unpacked at once
  local lock; lock=$(mktemp)
  awk '/^[a-z]/ { ours = /^(pyspark|py4j)==/ } ours' requirements.lock >"$lock"
  .venv/bin/uv pip install -q --python .venv/bin/python --require-hashes --no-deps "${build[@]}" -r "$lock"
  rm "$lock"
}
packages() {
  .venv/bin/uv pip sync -q --python .venv/bin/python --require-hashes "${build[@]}" requirements.lock
  .venv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
}
java() { conf/find-java.sh --install >/dev/null; }
jars() { JAVA_HOME=$(conf/find-java.sh) .venv/bin/python -m jobs.jars; }
build=(--config-settings-package pyspark:--build-option=--compression=stored)
trap wait EXIT # what runs beside ends first, also after an error or Ctrl-C
echo "setting up (once; about two minutes, 7 GB)"
step "Java" java & java=$!
step "Python environment" environment
step "Spark" spark
wait "$java"
step "Delta's jars" jars & jars=$! # beside the packages, which take longest
step "packages" packages
wait "$jars"
