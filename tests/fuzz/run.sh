#!/usr/bin/env bash
# Builds the fuzz targets with clang and lets each read large inputs made to take memory (large_inputs.py), and then a
# million that libFuzzer makes up, or as many as are asked for. SAE_FUZZ_REPORT=1 prints what each input took.
#
#   tests/fuzz/run.sh [--runs N] [TARGET...]     targets: gguf safetensors json tokenizer pickle
#
# An input that crashes, hangs for 10 s or takes too much memory is left in build-fuzz/fuzz, and the exit code is not 0.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=1000000
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --runs) runs="${2:?run.sh: --runs needs a number}"; shift ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    gguf | safetensors | json | tokenizer | pickle) targets+=("$1") ;;
    *) echo "run.sh: unknown argument '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(gguf safetensors json tokenizer pickle)

cmake -S . -B build-fuzz -G Ninja -DSAE_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ -DSAE_ONEDNN=OFF >/dev/null
cmake --build build-fuzz --target fuzz
python3 tests/fuzz/large_inputs.py build-fuzz/fuzz/large
for target in "${targets[@]}"; do
  "build-fuzz/fuzz/fuzz_$target" -timeout=60 -rss_limit_mb=2048 build-fuzz/fuzz/large/"$target"/*
  folder="build-fuzz/fuzz/inputs-$target"
  mkdir -p "$folder"
  dictionary=()
  if [ -f "tests/fuzz/$target.dict" ]; then dictionary=("-dict=tests/fuzz/$target.dict"); fi
  "build-fuzz/fuzz/fuzz_$target" -runs="$runs" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/fuzz/$target-" "${dictionary[@]}" "$folder" "tests/fuzz/seeds/$target"
done
