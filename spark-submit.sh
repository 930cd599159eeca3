#!/usr/bin/env bash
# Runs one job by spark-submit: ./spark-submit.sh JOB [options]; ./spark-submit.sh --help lists the jobs.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${KDSL_PYTHON:-$root/.venv/bin/python}
if [ ! -x "$python" ]; then
  echo "spark-submit.sh: $python is not there; run 'make setup' in $root first, or name a Python in KDSL_PYTHON." >&2
  exit 2
fi
if ! java=$("$root/conf/find-java.sh"); then exit 2; fi
export JAVA_HOME=$java
exec env PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" "$python" -m jobs.launch "$@"
