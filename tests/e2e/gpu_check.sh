#!/usr/bin/env bash
# scripts/gpu-check: that it says when there is no GPU, what its table makes of known figures, that all of it works on the
# emulator, and that it fails, and prints its table, when a check does. Usage: gpu_check.sh ROOT BUILD_FOLDER
set -uo pipefail
root=$1
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

complain() {
  printf '%s\n' "$1"
  failures=$((failures + 1))
}

# expect NAME WORD...: a line of the output that begins with NAME has these words behind it, and no others but its goal.
expect() {
  local name=$1
  shift
  local line
  line=$(awk -v name="$name" 'index($0, name) == 1 { print; exit }' "$work/out")
  read -r -a words <<< "${line#"$name"}"
  [ "${words[*]:0:$#}" = "$*" ] || complain "\"$name\" is not followed by $*: $line"
}

if ! command -v nvidia-smi >/dev/null; then
  "$root/scripts/gpu-check" > "$work/out" 2>&1
  status=$?
  [ "$status" = 77 ] || complain "without a GPU it ends with $status"
  grep -q 'no GPU' "$work/out" || complain "without a GPU it says: $(cat "$work/out")"
fi

rows="device\tA device
copy\t10\t30000000\t0\t0.01\t
read\t10\t32000000\t0\t0\t
cuBLASLt bf16, 8\t10\t0\t8000000000\t0\t
kernels of a layer, 1 token\t100\t3000000\t0\t0\t
kernels around the layers\t50\t3000000\t0\t0\t
linear\t20\t32000000\t4000000000\t0\t95 % of read
model, tg64 @ d1024\t1000\t1500000000\t0\t0.02\t90 % of copy\t1000.0"
printf '%b\n' "$rows" | "$root/scripts/gpu-check-table" 9 > "$work/out" || complain "the table fails"
expect "copy" 10.0 1.0 - 3000 - 100.0 93.8 -
expect "cuBLASLt bf16, 8" 10.0 0.0 - - 800 - - 100.0
expect "linear" 20.0 0.0 - 1600 200 53.3 50.0 25.0 95
expect "model, tg64 @ d1024" 1000.0 2.0 1000.0 1500 - 50.0 46.9 - 90
expect "part of a step outside kernels, tg @ d1024, %" 5.0

"$root/scripts/gpu-check" --emulated --built "$build" > "$work/out" 2> "$work/err" || complain "on the emulator it fails: $(tail -n 40 "$work/err")"
for name in copy read cuBLASLt "linear BF16" "attention BF16" rms_norm "model, pp16" "model, tg2 @ d20"; do
  grep -q "^$name.* emulated " "$work/out" || complain "the table has no row $name"
done
! sed 's/^.\{52\}//; s/[0-9.]* \(% of\|us\).*$//; 1,2d' "$work/out" | grep -n '[0-9]' || complain "the table shows speeds of the emulator"
for what in "every operation" golden "bits over layouts" collectives "killed, ipc" "killed, nccl" "--comm ipc" "--comm nccl"; do
  grep -q -e "passed: .*$what" "$work/err" || complain "it does not say that it passed: $what"
done

"$root/scripts/gpu-check" --emulated --minutes 0 --built "$build" > "$work/out" 2> "$work/err"
status=$?
[ "$status" = 1 ] || complain "where nothing could be checked it ends with $status"
grep -q 'tokens/s' "$work/out" || complain "it prints no table then"
grep -q 'FAILED: golden.*no time' "$work/err" || complain "it does not say what failed: $(cat "$work/err")"

exit $((failures > 0))
