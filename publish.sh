#!/usr/bin/env bash
# Builds what users run: publish/fastlb, one file for linux-x64 that needs no .NET on the machine.
#
#   ./publish.sh             builds it
#   ./publish.sh --measure   builds it, then measures the time to its first answer and its memory beside nginx and HAProxy
#
# ReadyToRun is what makes the first answer quick: without it the compiler runs before the listeners are open (90 ms and 440 ms
# where this was written). Hot code is compiled again with what was learnt while it ran, so load needs two seconds to be at its best.
set -euo pipefail
cd "$(dirname "$0")"

[[ $# == 0 || ($# == 1 && $1 == --measure) ]] || { echo "usage: ./publish.sh [--measure]" >&2; exit 2; }

dotnet publish src/FastLB/FastLB.csproj --configuration Release --runtime linux-x64 --self-contained --output publish \
  -p:PublishSingleFile=true -p:PublishTrimmed=true -p:PublishReadyToRun=true \
  -p:DebugType=embedded -p:StaticWebAssetsEnabled=false --nologo --verbosity quiet
echo "publish/fastlb: $(du --apparent-size --block-size=1M publish/fastlb | cut -f1) MB"

if [[ ${1:-} == --measure ]]; then
  exec bench/load/run.sh --fastlb publish/fastlb --workloads start --rounds 11
fi
