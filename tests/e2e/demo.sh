#!/usr/bin/env bash
# scripts/demo on a tree that is built, with the default model in the cache: it answers, and installs, downloads and
# builds nothing. Usage: demo.sh ROOT. Ends with 77 (skipped) where the model is not there.
set -uo pipefail
model=${XDG_CACHE_HOME:-$HOME/.cache}/longship/models/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$model" ] || { echo "skipped: no $model; scripts/fetch-model gets it (needs the network)"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

LC_ALL=xx_XX.UTF-8 timeout 300 "$1/scripts/demo" "Name a ship." >"$work/out" 2>"$work/err" || { cat "$work/err"; exit 1; }
answer=$(<"$work/out")
echo "$answer"
[ ${#answer} -gt 20 ] || { echo "no answer"; cat "$work/err"; exit 1; }
if grep -E 'fetching|installing|Building|Linking' "$work/err"; then
  echo "a second run does something again"
  exit 1
fi
