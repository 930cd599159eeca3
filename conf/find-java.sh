#!/usr/bin/env bash
# Prints the home of a Java that Spark 4.2 runs on (17 or 21), from JAVA_HOME or PATH; with --install, gets one.
set -eu
fits() { # a Java home whose java says 17 or 21
  [ -x "$1/bin/java" ] && "$1/bin/java" -version 2>&1 | grep -Eq 'version "(17|21)[."]'
}
candidates() {
  [ -n "${JAVA_HOME:-}" ] && echo "$JAVA_HOME"
  if command -v java >/dev/null; then dirname "$(dirname "$(readlink -f "$(command -v java)")")"; fi
  ls -d /usr/lib/jvm/*17* /usr/lib/jvm/*21* 2>/dev/null || true
}
look() { candidates | while read -r home; do if fits "$home"; then echo "$home"; return 0; fi; done; }
home=$(look)
if [ -z "$home" ] && [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing openjdk-17-jre-headless ..." >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless; } >&2 || true
  home=$(look)
fi
if [ -z "$home" ]; then
  echo "Java 17 or 21 is needed: JAVA_HOME is '${JAVA_HOME:-}' and PATH has $(command -v java || echo no java)." >&2
  echo "On Debian or Ubuntu: sudo apt-get install openjdk-17-jre-headless (or openjdk-21-jre-headless). Then run the same command again." >&2
  exit 2
fi
echo "$home"
