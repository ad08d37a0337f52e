#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test.
#
#   tests/run.sh                 install (root or sudo), build, test
#   tests/run.sh --no-install    name what is missing and build against what is there
#   tests/run.sh --build FOLDER  build in FOLDER (default: build)
set -euo pipefail
cd "$(dirname "$0")/.."

install_options=()
build=build
while [ $# -gt 0 ]; do
  case "$1" in
    --no-install) install_options=(--no-install) ;;
    --build) build="${2:?tests/run.sh: --build needs a folder}"; shift ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "tests/run.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done

status=0
third_party/install.sh "${install_options[@]}" || status=$?
if [ "$status" -ne 0 ]; then
  [ "$status" -eq 3 ] && [ ${#install_options[@]} -gt 0 ] || exit "$status"
  echo "Building against what is there."
fi

# Some tests hold the real language model's numbers against other programs'; the file is fetched once.
experiments/fetch.sh --model >/dev/null || echo "Without the model the tests that need it will fail; SAE_TEST_WITHOUT_MODEL=1 leaves them out." >&2

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release
cmake --build "$build"
# Two tests at a time share the processor: threads that wait must not spin.
export OMP_WAIT_POLICY=passive
ctest --test-dir "$build" --output-on-failure -j2 --no-tests=error
