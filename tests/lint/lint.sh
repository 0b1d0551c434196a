#!/usr/bin/env bash
# Rules of the tree that no compiler checks: who may include whom, sizes of files, where roles are chosen.
# Usage: lint.sh ROOT. Prints what breaks a rule and ends with 1.
set -uo pipefail
cd "$1" || exit 2
failures=0

complain() {
  printf '%s\n' "$1" >&2
  failures=$((failures + 1))
}

# forbid FOLDER PATTERN RULE: no file of the folder includes a path that matches.
forbid() {
  local hits
  hits=$(grep -rnE "^#include [\"<]($2)" --include='*.h' --include='*.cc' --include='*.cu' "$1") && complain "$3:"$'\n'"$hits"
}

forbid core 'cuda/|parallel/|comm/|engine/|launcher/|mpi\.h' 'core includes only itself'
forbid cuda 'parallel/|comm/|engine/|launcher/|mpi\.h' 'cuda includes only core'
forbid parallel 'cuda/|comm/|engine/|launcher/|mpi\.h' 'parallel includes only core'
forbid comm 'parallel/|engine/|launcher/' 'comm includes only core and cuda'
forbid engine 'launcher/' 'the engine does not know the launcher'
forbid engine/model 'engine/models/|engine/text/|engine/sample/|engine/schedule/(scheduler|sequence|step_source|step_executor)' \
  'of schedule, model sees only the step plan, and nothing above it'
forbid engine/backend 'engine/(model|models|kv|schedule|sample|text)/' 'kernels know no model'
forbid engine/weights 'engine/(backend|model|models|kv|schedule|sample|text)/' 'weights know no model'
forbid engine/schedule 'engine/(model|models|backend|weights|text)/|engine/kv/kv_store' 'schedule never sees the model'
forbid engine/text 'engine/(backend|model|models|kv|schedule|sample)/' 'text knows no model'

# MPI calls stay in comm; no third-party type in a header of core, parallel, comm or engine.
hits=$(grep -rlE '#include <mpi\.h>' --include='*.h' --include='*.cc' --include='*.cu' core cuda parallel comm engine launcher | grep -v '^comm/.*\.cc$') &&
  complain "MPI is included outside comm: $hits"
hits=$(grep -rnE '#include <(boost|spdlog|CLI|pcre2|utf8proc|yaml-cpp|mpi|cuda|nccl|cublas)' --include='*.h' core cuda parallel comm engine) &&
  complain "a third-party type in a header:"$'\n'"$hits"

# CUDA is known to the folder cuda, to the backend and the transports on it, and to its plug-in.
hits=$(grep -rlE '#include "cuda/' --include='*.h' --include='*.cc' --include='*.cu' comm engine launcher |
  grep -vE '^(comm|engine/backend)/(cuda/|cuda_)|^launcher/plugin/') && complain "CUDA is included outside its folders: $hits"

hits=$(grep -rlE '^#include [<"](cuda_runtime|nccl|cublas)' --include='*.h' --include='*.cc' --include='*.cu' cuda comm engine launcher |
  grep -vE '^cuda/(runtime_api|blas_lt)\.cc$') && complain "a library of CUDA is included outside its table: $hits"

# Roles are chosen in launcher/assemble.cc.
hits=$(grep -rnE 'if \((.*\.)?rank\(?\)? == 0\)|world_size' --include='*.h' --include='*.cc' engine parallel) &&
  complain "a role is chosen outside launcher/assemble.cc:"$'\n'"$hits"

# Files are about one concept: 600 lines at most, kernels 800.
while IFS= read -r file; do
  lines=$(wc -l < "$file")
  most=600
  [[ $file == engine/backend/* ]] && most=800
  ((lines > most)) && complain "$file has $lines lines, more than $most"
done < <(find core cuda parallel comm engine launcher tests -name '*.cc' -o -name '*.cu' -o -name '*.h')

# Functions fit a screen. One ends with a line "}", in a class "  }", and begins with the last line that stands as far left.
hits=$(find bench core cuda parallel comm engine launcher tests -name '*.cc' -o -name '*.cu' -o -name '*.h' | xargs awk -v most=60 '
  FNR == 1 { in_class = 0 }
  /^[^ \t#\/}]/ { top = FNR; in_class = /^(class|struct) / }
  /^  [^ \/}#]/ { member = FNR }
  /^}$/ && FNR - top >= most { print FILENAME ":" top ": " FNR - top + 1 " lines" }
  /^  }$/ && in_class && FNR - member >= most { print FILENAME ":" member ": " FNR - member + 1 " lines" }')
[[ -z $hits ]] || complain "functions of more than 60 lines:"$'\n'"$hits"

# What is missing stands in the documents, not in marks.
hits=$(grep -rnE '\b(TODO|FIXME|XXX)\b' --include='*.h' --include='*.cc' --include='*.cu' core cuda parallel comm engine launcher tests) && complain "marks:"$'\n'"$hits"

# Scripts and commands that the README names are there.
for script in scripts/demo scripts/test scripts/setup scripts/build scripts/fetch-model scripts/gpu-check; do
  [[ -x $script ]] || complain "$script is missing or not executable"
done

# Scripts say what they are before they do anything. The others hand --help on to a program.
for script in build check-schemas compare-llama-cpp demo fetch-model fuzz gpu-check lint setup test test-long; do
  grep -q '^answer_help "\$@"$' "scripts/$script" && [[ -n $("scripts/$script" --help) ]] || complain "scripts/$script has no --help"
done

((failures == 0)) && echo "all rules hold"
exit $((failures > 0))
