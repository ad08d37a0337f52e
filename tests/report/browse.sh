#!/usr/bin/env bash
# Opens a folder that experiments/report wrote in headless Chromium, from the disk, and looks at what the page shows.
#
#   tests/report/browse.sh FOLDER NUMBER LATENT TOKEN    LATENT of autoencoder NUMBER (from 0, as in the report) has an
#                                                        explanation and fires on TOKEN
#   tests/report/browse.sh FOLDER NUMBER LATENT TOKEN --screenshots OUT    and keeps pictures: wide, narrow, dark
#
# Exit codes: 0 all is there; 1 something is not, and what; 2 wrong usage; 3 Chromium (Debian: chromium) is missing.
set -euo pipefail

if [ $# -ne 4 ] && ! { [ $# -eq 6 ] && [ "$5" = --screenshots ]; }; then sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
folder="$(cd "$1" && pwd)" number="$2" latent="$3" token="$4" pictures="${6:-}"
command -v chromium >/dev/null || { echo "browse.sh: chromium is not installed" >&2; exit 3; }

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
browser=(timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-extensions --hide-scrollbars
  "--user-data-dir=$work/profile" --virtual-time-budget=8000 --enable-logging=stderr)

# The page at an address, after its scripts have run; console messages are failures.
open_page() {
  "${browser[@]}" --dump-dom "file://$folder/index.html$1" >"$work/page.html" 2>"$work/log" || {
    echo "browse.sh: Chromium failed:" >&2; tail -5 "$work/log" >&2; exit 1; }
  if grep -a "CONSOLE" "$work/log" >&2; then echo "browse.sh: $1 writes to the console" >&2; exit 1; fi
}
expect() {  # TEXT WHAT
  grep -qaF -- "$1" "$work/page.html" || { echo "browse.sh: $2: '$1' is not on the page" >&2; exit 1; }
}
refuse() {
  if grep -qaF -- "$1" "$work/page.html"; then echo "browse.sh: $2: '$1' is on the page" >&2; exit 1; fi
}

open_page "#/"
expect '<table id="latents">' "the overview has a table of latents"
expect "href=\"#/0/" "with links to them"
refuse "That cannot be shown" "the overview"

open_page "#/?a=$number&token=$token"
expect "href=\"#/$number/$latent\"" "the search for '$token' finds latent $latent"
open_page "#/?a=$number&token=no-token-has-this-text"
expect "No latent of this report fits" "a search for nothing"
open_page "#/?a=$number&sort=density&order=down"
expect 'aria-sort="descending"' "the table is sorted"

open_page "#/$number/$latent"
expect 'aria-label="Histogram' "the latent has a histogram"
expect '<svg class="graph"' "its explanation is drawn"
expect 'class="node fires"' "with the tokens on which it fires"
expect 'rgba(var(--heat)' "texts are coloured"
expect 'class="chosen hit"' "a predicted firing is marked"
expect "Promoted tokens" "its direction is described"
refuse "That cannot be shown" "the latent"

open_page "#/$number/999999999"
expect "there is no latent 999999999" "an unknown latent"

if [ -n "$pictures" ]; then
  mkdir -p "$pictures"
  picture() {  # NAME ADDRESS SIZE [OPTION]
    "${browser[@]}" --window-size="$3" ${4:+"$4"} --screenshot="$pictures/$1.png" "file://$folder/index.html$2" 2>/dev/null
  }
  picture overview "#/" 1200,1400
  picture latent "#/$number/$latent" 1200,1500
  picture narrow "#/$number/$latent" 500,1200
  picture dark "#/$number/$latent" 1200,1500 --force-dark-mode
fi
echo "browse.sh: the report opens, is searched and shows latent $latent"
