#!/usr/bin/env bash
# Every bench in turn; what each prints last goes to the end as well. MIRE=folder of the challenge's records, where there.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mire=${MIRE:-../shared/mire}
last=()
run() { # run NAME [options]: one bench
  echo "== $*"
  local out; out=$(.venv/bin/python -m "bench.$1" "${@:2}" 2>/dev/null | tee /dev/stderr) || out="{\"bench\": \"$1\", \"value\": null, \"aim\": null, \"met\": false}"
  last+=("$(tail -n 1 <<<"$out")")
}
run overhead
run growth
run dates
run paraphrase_filter
if [ -d kdsl/demo/miniature/weights ]; then run miniature; else echo "== not run, make miniature was not: miniature"; fi
if [ -d "$mire" ]; then
  run ocr --mire "$mire"
  run linear --mire "$mire"
  run quality --mire "$mire" --seeds 1
else
  echo "== not run, no records in $mire: ocr, linear, quality"
fi
printf '%s\n' "${last[@]}"
