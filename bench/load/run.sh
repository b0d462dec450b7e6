#!/usr/bin/env bash
# Measures FastLB beside Debian's nginx and HAProxy. See README.md in this folder; --help lists the options.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Each as the file that has to be there and the Debian package that brings it.
packages=()
for pair in wrk:wrk ab:apache2-utils nginx:nginx-light haproxy:haproxy python3:python3 gcc:gcc taskset:util-linux; do
  command -v "${pair%%:*}" >/dev/null || [[ -x /usr/sbin/${pair%%:*} ]] || packages+=("${pair##*:}")
done
[[ -e /usr/lib/nginx/modules/ngx_stream_module.so ]] || packages+=(libnginx-mod-stream)
[[ -e /usr/include/stdio.h ]] || packages+=(libc6-dev)
if ((${#packages[@]} > 0)); then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "run.sh needs ${packages[*]}, and root on Debian to install them" >&2
    exit 1
  fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# A FastLB that is named is measured as it is; otherwise the published file, made anew.
case " $* " in
  *" --fastlb"*) ;;
  *) ./publish.sh >&2 ;;
esac
exec python3 bench/load/compare.py "$@"
