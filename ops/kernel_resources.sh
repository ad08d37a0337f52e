#!/usr/bin/env bash
# Prints what every compiled GPU kernel takes, as the table of ops/kernel_resources.md: registers of a thread on each
# architecture, bytes of its stack (anything but 0: registers were spilled, or an array is indexed by a variable) and
# static shared memory of a block, which includes the 1,024 bytes that the system keeps on sm_90. Of a template's
# instances the most of each, and of stack and shared memory the most on any architecture.
#
#   ops/kernel_resources.sh [BUILD]    BUILD: a build with CUDA (default: build); needs cuobjdump of the CUDA Toolkit
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
mapfile -t objects < <(find "$build" -path '*_cuda.dir/*_cuda.cu.o' -not -path '*simt_link*' | sort)
[ ${#objects[@]} -gt 0 ] || { echo "ops/kernel_resources.sh: $build has no compiled kernels" >&2; exit 1; }
architectures=$(cuobjdump --list-elf "${objects[0]}" | grep -o 'sm_[0-9]*' | sort -u | xargs)

echo "| source | kernel | registers on ${architectures// /, } | stack | shared |"
echo "|---|---|---|---|---|"
for object in "${objects[@]}"; do
  source=${object##*_cuda.dir/}
  source=${source%.o}
  cuobjdump --dump-resource-usage "$object" | c++filt | awk -v source="${source##*/}" -v architectures="$architectures" '
    function keep(most, key, value) { if (!(key in most) || value + 0 > most[key]) most[key] = value + 0 }
    /^arch = / { architecture = $3 }
    /Function / {
      name = $0
      sub(/^ *Function /, "", name)
      gsub(/sae::cuda::|\(anonymous namespace\)::/, "", name)
      sub(/^void /, "", name)
      sub(/[<(].*$/, "", name)
      if (name ~ /^cub::|^thrust::|^void cub/) name = ""
    }
    /REG:/ && name != "" {
      match($0, /REG:[0-9]+/); keep(registers, name " " architecture, substr($0, RSTART + 4, RLENGTH - 4))
      match($0, /STACK:[0-9]+/); keep(stack, name, substr($0, RSTART + 6, RLENGTH - 6))
      match($0, /SHARED:[0-9]+/); keep(shared, name, substr($0, RSTART + 7, RLENGTH - 7))
    }
    END {
      count = split(architectures, listed, " ")
      for (name in stack) {
        each = registers[name " " listed[1]]
        for (i = 2; i <= count; ++i) each = each ", " registers[name " " listed[i]]
        printf "| %s | `%s` | %s | %d | %d |\n", source, name, each, stack[name], shared[name]
      }
    }' | sort
done
