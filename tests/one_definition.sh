#!/usr/bin/env bash
# Fails where two headers define different types under one name in one namespace: a program that links both has whichever
# the linker met first, and no compiler says so.
#
#   tests/one_definition.sh
#
# Exit codes: 0 no such name; 1 which, and where.
set -euo pipefail
cd "$(dirname "$0")/.."
defined="$(find engine ops models experiments tests -name '*.h' -print0 | sort -z | xargs -0 awk '
  FNR == 1 { space = "" }
  /^namespace [a-z_:]+ \{/ { space = $2 }
  /^}  \/\/ namespace/ { space = "" }
  /^(struct|class|enum class|using) [A-Z][A-Za-z0-9]*( final)?( :.*)?( =.*)? ?[{=;:]/ && !/^(struct|class) [A-Za-z0-9]+;/ {
    name = $1 == "enum" ? $3 : $2
    print space "::" name, FILENAME
  }')"
twice="$(cut -d' ' -f1 <<<"$defined" | sort | uniq -d)"
[ -z "$twice" ] && exit 0
for name in $twice; do
  echo "one_definition.sh: $name is defined in:" $(awk -v name="$name" '$1 == name {print $2}' <<<"$defined") >&2
done
exit 1
