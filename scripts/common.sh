# Shared by the scripts in this folder: source it first.
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
home=${HOME:-$(echo ~)}
model_cache=${XDG_CACHE_HOME:-$home/.cache}/longship/models
model_file=$model_cache/SmolLM2-135M-Instruct.Q4_1.gguf

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "error: $*"; exit 1; }
# What stands at the top of the script, and an end with this code.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit "$1"; }
# Before a script does anything: with --help it only says what it is.
answer_help() {
  case "${1:-}" in
    -h | --help) usage 0 ;;
  esac
}

# One compiler per core, as far as there are 1.5 GB of memory for each.
build_jobs() {
  local cores memory_kb
  cores=$(nproc)
  memory_kb=$(awk '/MemAvailable/ {print $2}' /proc/meminfo)
  local by_memory=$((memory_kb / 1500000))
  local jobs=$((cores < by_memory ? cores : by_memory))
  echo $((jobs > 0 ? jobs : 1))
}

# Open MPI: quiet, without pinning, with more ranks than cores where it must be; as root only if we are.
use_mpi_defaults() {
  export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
  export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_pml=ob1 OMPI_MCA_odls_base_sigkill_timeout=0
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}
