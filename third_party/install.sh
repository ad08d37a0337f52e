#!/usr/bin/env bash
# Installs what the project needs to build, run and test on Debian 12, and only what is missing.
#
#   third_party/install.sh                install (root, or sudo)
#   third_party/install.sh --no-install   name what is missing; exit 0 when nothing is, 3 otherwise
#
# Exit codes: 0 everything is there; 1 the installation failed; 2 wrong usage; 3 something is missing and was not installed.
set -euo pipefail

# Why each is needed: third_party/README.md.
packages=(
  g++ cmake ninja-build pkgconf
  libdnnl-dev libboost-program-options-dev libfmt-dev nlohmann-json3-dev libpcre2-dev libicu-dev libeigen3-dev
  libxml2-dev libcmark-dev zlib1g-dev libjpeg62-turbo-dev
  libgtest-dev libgmock-dev libbenchmark-dev
  gnuplot-nox graphviz fonts-dejavu-core
  python3-pip ca-certificates
)

missing_exit=3
install=yes
for argument in "$@"; do
  case "$argument" in
    --no-install) install=no ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install.sh: unknown option '$argument' (see --help)" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install.sh: this is no Debian system, so nothing can be checked or installed here." >&2
  echo "  Build in a container instead (third_party/Containerfile), or install by hand what third_party/README.md lists." >&2
  exit "$missing_exit"
fi

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if [ "$install" = no ]; then
  echo "Missing Debian packages: ${missing[*]}" >&2
  exit "$missing_exit"
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install.sh: these packages are missing, and installing them needs root or sudo:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit "$missing_exit"
  fi
  as_root=(sudo)
fi
apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 -q "$@"; }

# A fresh system has no package lists, and an old one's lists name versions that the mirror has since replaced.
echo "Installing Debian packages: ${missing[*]}"
install_missing() { apt_get install -y --no-install-recommends "${missing[@]}"; }
have_lists() {
  local package
  for package in "${missing[@]}"; do
    [ -n "$(apt-cache show --no-all-versions "$package" 2>/dev/null)" ] || return 1
  done
}
if ! { have_lists && install_missing; }; then
  apt_get update
  if ! install_missing; then
    echo "install.sh: could not install: ${missing[*]}" >&2
    echo "  The project is written for Debian 12 with its 'main' packages, and the first run needs the network." >&2
    echo "  Without root or network, build against what is there with --no-install." >&2
    exit 1
  fi
fi
