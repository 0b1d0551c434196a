#!/usr/bin/env bash
# Runs every command of the documents as its reader would, with a small model in place of MODEL. Commands are lines
# indented by four spaces; a comment with the word "needs" says what else a command wants, and such a one is not run.
# Scripts are run by hand and by other tests; here they must be there.
# Usage: documents.sh PROGRAM MODEL DOCUMENT...
set -uo pipefail
program=$1
export model=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
ln -s "$program" "$work/bin/longship"
PATH=$work/bin:$PATH
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cp "$root/README.md" "$work/FILE"
cp -r "$root/configs" "$work/configs"
echo '{"custom_id": "1", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Ships float", "max_tokens": 4}}' >"$work/in.jsonl"
cd "$work" || exit 2
failures=0
ran=0

# run COMMAND: on a terminal of its own, where a chat is ended at once; the standard input is empty otherwise.
# A server takes a free port and is ended once it is ready.
run() {
  local command=${1//MODEL/$model}
  if [[ $command == *"longship serve"* && $command != *--dry-run* ]]; then
    serve "$(sed -E 's/ --port [0-9]+//' <<<"$command") --port 0"
  elif [[ $command =~ ^longship\ run\ [^\ ]+$ ]]; then
    printf '/quit\n' | timeout 120 script -qec "$command" /dev/null
  elif [[ $command == *--jsonl* ]]; then
    echo '{"ids": [1, 2, 3], "context": {"messages": []}, "template": "x"}' | timeout 120 bash -c "$command"
  else
    timeout 120 bash -c "$command" </dev/null
  fi
}

serve() {
  timeout 120 bash -c "exec $1" </dev/null 2>"$work/server" &
  local server=$! ready=1
  for _ in $(seq 600); do
    grep -q '^Ready: ' "$work/server" && ready=0 && break
    kill -0 $server 2>/dev/null || break
    sleep 0.1
  done
  kill $server 2>/dev/null
  wait $server
  cat "$work/server"
  return $ready
}

while IFS= read -r line; do
  command=$(sed -E 's/[[:space:]]+#.*$//' <<<"$line")
  comment=${line:${#command}}
  case $command in
    scripts/*) [[ -x $root/${command%% *} ]] || { echo "FAILED: $command is not there"; failures=$((failures + 1)); }; continue ;;
    longship\ * | env\ * | mpirun\ * | srun\ *) ;;
    *) continue ;;
  esac
  [[ $comment != *needs* ]] || continue
  ran=$((ran + 1))
  if ! run "$command" >"$work/output" 2>&1; then
    echo "FAILED: $command"
    tail -n 5 "$work/output"
    failures=$((failures + 1))
  fi
done < <(sed -nE 's/^    ([a-z].*)$/\1/p' "$@")

echo "$ran commands, $failures failed"
[ $failures = 0 ] && [ $ran -gt 5 ]
