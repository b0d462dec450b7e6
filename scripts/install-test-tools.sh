#!/usr/bin/env bash
# Installs, from Debian's packages and with npm, what the system tests use besides the .NET SDK. Without root, or elsewhere than on
# Debian, it says what is missing and goes on: the tests that need a missing tool are skipped and say which.
set -uo pipefail
cd "$(dirname "$0")/.."

declare -A package=([curl]=curl [node]=nodejs [npm]=npm [wrk]=wrk [ab]=apache2-utils [h2load]=nghttp2-client [slowhttptest]=slowhttptest [cc]=gcc [promtool]=prometheus
  [nginx]=nginx-light [haproxy]=haproxy [python3]=python3 [ss]=iproute2 [taskset]=util-linux
  [/usr/lib/nginx/modules/ngx_stream_module.so]=libnginx-mod-stream)
missing=()
for tool in "${!package[@]}"; do
  command -v "$tool" >/dev/null || [[ -e $tool ]] || missing+=("${package[$tool]}")
done

if ((${#missing[@]} > 0)); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
      echo "install-test-tools: apt-get could not install: ${missing[*]}" >&2
  else
    echo "install-test-tools: not installed here (needs root and apt-get): ${missing[*]}" >&2
  fi
fi

if command -v npm >/dev/null && [[ ! -d examples/node-app/node_modules ]]; then
  (cd examples/node-app && npm ci --no-audit --no-fund --silent) ||
    echo "install-test-tools: npm could not install what examples/node-app needs" >&2
fi
