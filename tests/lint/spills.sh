#!/usr/bin/env bash
# No kernel keeps registers in memory: reads what ptxas said of each kernel when it was compiled.
# Usage: spills.sh FOLDER. Prints the kernels that spill and ends with 1; it is also an error if there are none to read.
set -uo pipefail
mapfile -t logs < <(find "$1" -name '*.ptxas')
((${#logs[@]} > 0)) || { echo "no output of ptxas in $1" >&2; exit 1; }
awk '
  /Compiling entry function/ { kernel = $0; sub(/.*function ./, "", kernel); sub(/. for .*/, "", kernel) }
  /bytes spill stores/ {
    read++
    stores = $0; sub(/ bytes spill stores.*/, "", stores); sub(/.*, /, "", stores)
    if (stores > 0) { print kernel ": " stores " bytes spilled"; spills++ }
  }
  END { print read " kernels, " spills + 0 " of them spill"; exit read == 0 || spills > 0 }' "${logs[@]}"
