#!/usr/bin/env bash
# Measures FastLB beside Debian's nginx and HAProxy and writes a report into perf-results/. See README.md in this folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

packages=()
for pair in wrk:wrk nginx:nginx-light haproxy:haproxy python3:python3; do
  command -v "${pair%%:*}" >/dev/null || [[ -x /usr/sbin/${pair%%:*} ]] || packages+=("${pair##*:}")
done
if ((${#packages[@]} > 0)); then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "run.sh needs ${packages[*]}, and root on Debian to install them" >&2
    exit 1
  fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

dotnet build src/FastLB/FastLB.csproj -c Release --nologo -v quiet
exec python3 bench/load/compare.py "$@"
