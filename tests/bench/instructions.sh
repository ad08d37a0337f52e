#!/usr/bin/env bash
# Counts the instructions of small training steps under callgrind and holds them against the recorded counts, which are
# steady where times are not. Valgrind has no AVX-512, so it is the AVX2 kernels that are counted.
#
#   tests/bench/instructions.sh                 compare; fails where a count is more than 2 % off
#   tests/bench/instructions.sh --record        write the counts of this compiler to instructions.tsv
#   tests/bench/instructions.sh --build FOLDER  take small_step from there (default: build)
set -euo pipefail
cd "$(dirname "$0")/../.."

build=build
record=0
while [ $# -gt 0 ]; do
  case "$1" in
    --record) record=1 ;;
    --build) build="${2:?instructions.sh: --build needs a folder}"; shift ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "instructions.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done
command -v valgrind >/dev/null || { echo "instructions.sh: no valgrind; apt-get install valgrind" >&2; exit 3; }
cmake --build "$build" --target small_step >/dev/null

table=tests/bench/instructions.tsv
compiler="$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")"
compiler="$(basename "$compiler") $("$compiler" -dumpfullversion)"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
status=0
counts=()
for kind in topk relu auxk; do
  valgrind --tool=callgrind --callgrind-out-file="$folder/$kind" --collect-atstart=no \
    --toggle-collect='sae::Trainer::step(sae::Tensor const&)' "$build/bin/small_step" "$kind" 2>"$folder/log" ||
    { cat "$folder/log" >&2; exit 1; }
  count="$(sed -n 's/^\(totals\|summary\): //p' "$folder/$kind" | tail -1)"
  counts+=("$compiler	$kind	$count")
  recorded="$(awk -F'\t' -v c="$compiler" -v k="$kind" '$1 == c && $2 == k { print $3 }' "$table" 2>/dev/null || true)"
  if [ -z "$recorded" ]; then
    echo "$kind: $count instructions in 4 steps; none recorded for $compiler"
  else
    awk -v n="$count" -v r="$recorded" -v k="$kind" 'BEGIN {
      off = 100 * (n - r) / r
      printf "%s: %d instructions in 4 steps, %+.2f %% from the recorded %d\n", k, n, off, r
      exit off > 2 || off < -2 }' || status=1
  fi
done
if [ "$record" = 1 ]; then
  { [ -f "$table" ] && grep -v "^$compiler	" "$table" || true; printf '%s\n' "${counts[@]}"; } >"$folder/table"
  mv "$folder/table" "$table"
  exit 0
fi
[ "$status" = 0 ] || echo "instructions.sh: off by more than 2 %: find the cause, or run with --record and say why" >&2
exit "$status"
