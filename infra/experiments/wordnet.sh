#!/usr/bin/env bash
# WordNet 3.0 for METEOR, out of Debian's package wordnet-base, into the environment's share/wordnet; needs no root.
# Without it everything else works: METEOR and the composite scores are left out, and `qualstream evaluate` says so.
set -euo pipefail

target=${1:?"usage: infra/experiments/wordnet.sh FOLDER, such as .venv/share/wordnet"}
files() { [ -f "$1/data.noun" ] && [ -f "$1/index.noun" ]; }

if files "$target" || files /usr/share/wordnet || files "${QUALSTREAM_WORDNET:-/nowhere}"; then
    exit 0
fi
otherwise="METEOR will be left out. Put WordNet 3.0's dict files (data.noun, index.noun, ...) into $target, or set QUALSTREAM_WORDNET"
if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "no apt here to fetch WordNet with. $otherwise" >&2
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! (cd "$work" && apt-get download -qq wordnet-base >/dev/null 2>"$work/said") || ! dpkg -x "$work"/wordnet-base_*.deb "$work"; then
    echo "apt could not fetch wordnet-base ($(tail -n 1 "$work/said" 2>/dev/null || true)). $otherwise" >&2
    exit 0
fi
mkdir -p "$target"
cp "$work"/usr/share/wordnet/* "$work/usr/share/doc/wordnet-base/copyright" "$target/"
