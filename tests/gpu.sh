#!/usr/bin/env bash
# Everything that needs a GPU: builds, runs the tests on `cuda`, the same under compute-sanitizer, and the benchmark.
#
#   tests/gpu.sh --pack FOLDER   on a Debian machine: gathers the headers and static libraries that the build needs
#   tests/gpu.sh --libraries FOLDER --output FOLDER
#                                on the machine with the GPU, which needs the CUDA Toolkit, CMake and g++ alone, and no
#                                network: builds in /tmp (or --build FOLDER) and leaves logs and a summary in --output
#
# The gathered folder is below 40 MB. Without --libraries the system's own are used. Ends within 9 minutes: each part has a limit, and what passed it is
# reported as not finished. Exit code 1 where a test failed, a sanitizer found something, or a part did not finish.
set -uo pipefail
cd "$(dirname "$0")/.."

pack='' libraries='' output='' build="${TMPDIR:-/tmp}/sae-gpu-build"
while [ $# -gt 0 ]; do
  case "$1" in
    --pack | --libraries | --output | --build)
      [ $# -gt 1 ] || { echo "tests/gpu.sh: $1 needs a folder" >&2; exit 2; }
      declare "${1#--}=$2"
      shift ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "tests/gpu.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done

# --- what is brought along -------------------------------------------------------------------------------------------

pack_libraries() {
  local to=$1 header library
  mkdir -p "$to/include" "$to/lib" "$to/cmake" || return 1
  # Exactly the headers that ours reach, found by the preprocessor.
  g++ -std=c++20 -DFMT_HEADER_ONLY -DPCRE2_CODE_UNIT_WIDTH=8 -M -x c++ - <<'HEADERS' | tr -d '\\' | tr ' ' '\n' |
#include <boost/program_options.hpp>
#include <boost/version.hpp>
#include <fmt/core.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <pcre2.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <zlib.h>
HEADERS
    grep -E '^/usr/include/(x86_64-linux-gnu/)?(boost|fmt|gmock|gtest|nlohmann|unicode|pcre2|zlib|zconf)' | sort -u |
    while read -r header; do
      local place=${header#/usr/include/}
      install -D -m 644 "$header" "$to/include/${place#x86_64-linux-gnu/}"
    done
  for library in boost_program_options gmock gmock_main gtest gtest_main icuuc pcre2-8 z; do
    cp "$(g++ -print-file-name=lib$library.a)" "$to/lib/" || return 1
  done
  # Normal form C, all that we ask of ICU, is in libicuuc; its 30 MB of other data are only named.
  printf '%s\n' '#include <unicode/utypes.h>' 'extern "C" const unsigned char U_ICUDATA_ENTRY_POINT[64] = {};' |
    g++ -x c++ -c -o "$to/icudata.o" - && ar rcs "$to/lib/libicudata.a" "$to/icudata.o" && rm "$to/icudata.o" || return 1
  cat >"$to/cmake/fmtConfig.cmake" <<'CONFIG'
add_library(fmt::fmt INTERFACE IMPORTED)
set_target_properties(fmt::fmt PROPERTIES INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY
                      INTERFACE_INCLUDE_DIRECTORIES ${CMAKE_CURRENT_LIST_DIR}/../include)
CONFIG
  cat >"$to/cmake/nlohmann_jsonConfig.cmake" <<'CONFIG'
add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
set_target_properties(nlohmann_json::nlohmann_json PROPERTIES
                      INTERFACE_INCLUDE_DIRECTORIES ${CMAKE_CURRENT_LIST_DIR}/../include)
CONFIG
  strip --strip-debug "$to"/lib/*.a
  du -sh "$to"
}

if [ -n "$pack" ]; then
  pack_libraries "$pack"
  exit
fi
[ -n "$output" ] || { echo "tests/gpu.sh: give --output FOLDER (see --help)" >&2; exit 2; }

# --- parts -----------------------------------------------------------------------------------------------------------

mkdir -p "$output" "$build" || exit 1
output=$(realpath "$output")
summary=$output/summary.txt
: >"$summary"
end=$((SECONDS + 525))
failed=0

# part NAME LIMIT COMMAND...: runs it for at most LIMIT seconds and what is left of all, its output to NAME.log.
part() {
  local name=$1 limit=$2 start=$SECONDS status=0 left=$((end - SECONDS))
  shift 2
  [ "$limit" -lt "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then
    echo "$name: not run, no time left" | tee -a "$summary"
    failed=1
    return 1
  fi
  timeout --kill-after=5 "$limit" "$@" >"$output/$name.log" 2>&1 || status=$?
  case $status in
    0) echo "$name: passed, $((SECONDS - start)) s" ;;
    124 | 137) echo "$name: NOT FINISHED within $limit s" ;;
    *) echo "$name: FAILED with $status, $((SECONDS - start)) s; see $name.log" ;;
  esac | tee -a "$summary"
  if [ $status -ne 0 ]; then failed=1; fi
  return $status
}

# some_ran NAME: a part of tests of which every one was skipped, since there is no device, has shown nothing.
some_ran() {
  grep -q '^\[  PASSED  \] [1-9]' "$output/$1.log" && return
  echo "$1: NOTHING RAN; see $1.log" | tee -a "$summary"
  failed=1
  return 1
}

{
  date
  git log -1 --format='commit %H' 2>/dev/null
  nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader
  nvcc --version | tail -2
} 2>&1 | tee "$output/machine.txt"
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
[ -n "$capability" ] || { echo "tests/gpu.sh: nvidia-smi names no GPU" | tee -a "$summary" >&2; exit 1; }

settings=(-DCMAKE_BUILD_TYPE=Release -DSAE_ONEDNN=OFF -DSAE_EXPERIMENTS=OFF "-DSAE_CUDA_ARCHITECTURES=$capability-real")
if [ -n "$libraries" ]; then
  libraries=$(realpath "$libraries")
  settings+=("-DCMAKE_PREFIX_PATH=$libraries" -DBoost_NO_BOOST_CMAKE=ON
    "-Dfmt_DIR=$libraries/cmake" "-Dnlohmann_json_DIR=$libraries/cmake" "-DBOOST_ROOT=$libraries"
    -DBoost_USE_STATIC_LIBS=ON "-DICU_ROOT=$libraries" "-DGTEST_ROOT=$libraries" "-DZLIB_ROOT=$libraries")
fi
command -v ninja >/dev/null && settings+=(-G Ninja)
part configure 60 cmake -S . -B "$build" "${settings[@]}" || exit 1
part build 280 cmake --build "$build" -j "$(nproc)" --target test_engine test_ops test_models step_bench || exit 1

# Tests of a device have its name at their end: Devices/Topk.ValuesByHand/cuda.
on_gpu='--gtest_filter=*/cuda:Cuda*'
for tests in engine ops models; do
  SAE_TEST_WITHOUT_MODEL=1 part "tests_$tests" 90 "$build/tests/test_$tests" "$on_gpu" && some_ran "tests_$tests"
done

# A sanitizer makes a kernel ten to a hundred times as slow; the tests' shapes are small, and all four run at once.
sanitize() {
  local tool=$1 tests=$2
  shift 2
  SAE_TEST_WITHOUT_MODEL=1 part "${tool}_$tests" 170 compute-sanitizer --tool "$tool" --error-exitcode 9 "$@" \
    "$build/tests/test_$tests" "$on_gpu:-*200Steps*" && some_ran "${tool}_$tests"
}
if command -v compute-sanitizer >/dev/null; then
  running=()
  for tests in engine ops; do
    for tool in memcheck racecheck synccheck initcheck; do
      sanitize $tool $tests &
      running+=($!)
    done
  done
  for job in "${running[@]}"; do wait "$job" || failed=1; done
else
  echo "sanitizers: not run, there is no compute-sanitizer" | tee -a "$summary"
  failed=1
fi

part benchmark 90 "$build/bin/step_bench" --device cuda
echo "$SECONDS s in all" | tee -a "$summary"
exit $failed
