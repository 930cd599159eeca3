#!/usr/bin/env bash
# Keeps the JVM's classes in .cache/classes.jsa, parsed and checked: later starts on this machine map that file.
# A small ingest loads what most jobs load; the JVM writes the file when it ends, and ignores it once a jar has changed.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work" .cache/classes.jsa.new' EXIT
for day in 1 2 3; do
  printf '{"conversation_id": "c-%d", "event_date": "2026-01-0%d", "turns": [{"speaker": "user", "text": "where is it"}]}\n' \
    "$day" "$day"
done >"$work/three.jsonl"
mkdir -p .cache
rm -f .cache/classes.jsa
echo "keeping the classes of the JVM (once; two minutes, 200 MB in .cache)"
on_lake() { # job [options]: run it quietly, and say what it said if it fails
  ./spark-submit.sh "$@" --conf conf/demo.yaml --lake "$work/lake" >"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }
}
SPARK_SUBMIT_OPTS="-XX:ArchiveClassesAtExit=.cache/classes.jsa.new -Xlog:cds=off -Xlog:cds+dynamic=off" \
  on_lake ingest --format jsonl --input "$work/three.jsonl"
mv -f .cache/classes.jsa.new .cache/classes.jsa
# One that a full disk has cut off would end every later command.
on_lake sql "SELECT count(*) FROM conversations" || { rm -f .cache/classes.jsa; exit 1; }
