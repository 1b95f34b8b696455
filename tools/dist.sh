#!/bin/sh
# Makes scoria_<version>.tar.gz from the last commit, with the sources of every
# Rust dependency inside: it installs on a machine without a network.
# src/Makevars.in unpacks them where it finds src/rust/vendor.tar.xz.
set -eu
PATH="$PATH:$HOME/.cargo/bin"

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/scoria"
git -C "$root" archive HEAD | tar -xf - -C "$work/scoria"

# Outside the workspace cargo leaves out what only the tests of the core use.
cd "$work/scoria"
rm src/rust/bind/Cargo.lock
mv Cargo.lock src/rust/bind/Cargo.lock
rm Cargo.toml
cd src/rust
cargo vendor --quiet --manifest-path bind/Cargo.toml vendor >/dev/null
# 2 of CRAN's 10 MB, for a system on which the package does not build.
rm -r vendor/windows-sys/src/Windows
tar -cf - --sort=name --owner=0 --group=0 --mtime=@0 vendor | xz -9 -T0 > vendor.tar.xz
rm -r vendor

cd "$work"
R CMD build scoria
mv scoria_*.tar.gz "$root"
ls -l "$root"/scoria_*.tar.gz
