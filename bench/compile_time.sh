#!/usr/bin/env bash
# What the library costs the compiler, as JSON lines: user seconds, and bytes of object where there is code.
#   compile_time.sh BUILD_DIR [REPETITIONS [quick]]   `quick` leaves out what needs LibTorch's headers
# component.hpp alone is to take at most 1 s, trainstate.hpp beside torch/torch.h a quarter more than that alone.
set -euo pipefail
build=$1 repetitions=${2:-3} quick=${3:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
compiler='' flags=()
source "$build/bench/compiler.sh" # which compiler, and where the headers are

compile() { "$compiler" "${flags[@]}" -c "$1" -o "$folder/object" 2>"$folder/errors"; }

# measure NAME < SOURCE: the median
measure() {
  cat >"$folder/source.cpp"
  local i seconds=() TIMEFORMAT=%U
  for ((i = 0; i < repetitions; ++i)); do
    seconds+=("$({ time compile "$folder/source.cpp"; } 2>&1)") || { cat "$folder/errors" >&2 && exit 1; }
  done
  printf '{"name": "%s", "user_seconds": %s, "object_bytes": %s}\n' "$1" \
    "$(printf '%s\n' "${seconds[@]}" | sort -n | sed -n "$(((repetitions + 1) / 2))p")" "$(stat -c %s "$folder/object")"
}

# A component of $1 fields and, in use(), $2.
component() {
  local i
  echo '#include <trainstate/component.hpp>'
  echo 'struct Subject {'
  for ((i = 0; i < $1; ++i)); do echo "  double field_$i = $i;"; done
  echo '  static constexpr auto describe() {'
  echo '    return trainstate::component<Subject>("subject", trainstate::version<1>'
  for ((i = 0; i < $1; ++i)); do echo "        , trainstate::state(\"field_$i\", &Subject::field_$i)"; done
  echo '    );'
  echo '  }'
  echo '};'
  echo "$2"
}

declared='#include <trainstate/schema.hpp>
auto use() { return trainstate::fingerprint<Subject>(); }'
saved='#include <trainstate/checkpoint.hpp>
void use(Subject& x) { trainstate::from_bytes(x, trainstate::to_bytes(x)); }'

measure component.hpp <<<'#include <trainstate/component.hpp>'
for fields in 1 10 30 100; do
  component "$fields" "$declared" | measure "declare_$fields"
done
[[ $quick ]] && exit
measure torch.h <<<'#include <torch/torch.h>'
measure trainstate.hpp <<<'#include <torch/torch.h>
#include <trainstate/trainstate.hpp>'
# Both in a precompiled header, as target_precompile_headers(app PRIVATE <torch/torch.h> <trainstate/trainstate.hpp>)
# has them for every file of a program.
printf '#include <torch/torch.h>\n#include <trainstate/trainstate.hpp>\n' >"$folder/both.hpp"
"$compiler" "${flags[@]}" -x c++-header "$folder/both.hpp" -o "$folder/both.hpp.gch"
measure precompiled <<<'#include "both.hpp"'
rm "$folder/both.hpp.gch"
measure checkpoint.hpp <<<'#include <trainstate/checkpoint.hpp>'
for fields in 1 10 30 100; do
  component "$fields" "$saved" | measure "save_$fields"
done
