#!/usr/bin/env bash
# The official Python client of the OpenAI API against a mesh of 2 x 2 ranks. Skips (77) without PyPI or python3-venv.
# Usage: openai_client.sh LONGSHIP MODEL FOLDER; FOLDER keeps the client between runs.
set -uo pipefail
longship=$1 model=$2 folder=$3
client=openai==3.57.0
here=$(dirname "${BASH_SOURCE[0]}")

skip() {
  echo "skipped: $1"
  exit 77
}

python=$folder/$client/bin/python
if [ ! -e "$folder/$client/ready" ]; then
  python3 -m venv "$folder/$client" >"$folder.log" 2>&1 || skip "python3-venv is missing"
  timeout 300 "$python" -m pip install --quiet --disable-pip-version-check "$client" >>"$folder.log" 2>&1 ||
    skip "$client cannot be installed from PyPI: $(tail -1 "$folder.log")"
  touch "$folder/$client/ready"
fi

log=$(mktemp)
"$longship" serve "$model" -tp 2 -pp 2 --port 0 --served-model-name ship --api-key secret --tool-call-parser hermes --kv-cache-memory 64MiB -c 4096 2>"$log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server; rm -f "$log"' EXIT
for _ in $(seq 600); do
  url=$(sed -n 's/^Ready: //p' "$log")
  [ -z "$url" ] || break
  kill -0 $server 2>/dev/null || break
  sleep 0.1
done
[ -n "$url" ] || { cat "$log"; exit 1; }
timeout 200 "$python" "$here/openai_client.py" "$url"
