#!/bin/sh
# Looks for files about which the readers of pipelines/ say something untrue. `make fuzz`.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]      60 seconds for each of: yaml buildspec appspec pipeline group
#
# Needs a nightly toolchain and `cargo install cargo-fuzz`. What is learnt stays in
# pipelines/fuzz/corpus, what is found in pipelines/fuzz/artifacts; both are ignored by git. To look at
# a finding on a stable toolchain:
#   cargo run --manifest-path pipelines/fuzz/Cargo.toml --bin buildspec FILE
# PIPEYARD_CORPUS=DIRECTORY adds the files in DIRECTORY/buildspec and DIRECTORY/appspec as seeds.
set -eu
me=fuzz
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cd "$here/../pipelines/fuzz"

have cargo-fuzz || fail "there is no cargo-fuzz: 'cargo install cargo-fuzz' and repeat"
cargo +nightly --version >/dev/null 2>&1 ||
    fail "there is no nightly toolchain: 'rustup toolchain install nightly' and repeat"

seconds=60
case ${1-} in
    '' | *[!0-9]*) ;;
    *)
        seconds=$1
        shift
        ;;
esac
[ $# -gt 0 ] || set -- yaml buildspec appspec pipeline group
real=${PIPEYARD_CORPUS:-$here/../../shared/corpus}

for target in "$@"; do
    [ -d "seeds/$target" ] || fail "'$target' is not one of: yaml buildspec appspec pipeline group"
    mkdir -p "corpus/$target"
    seeds="seeds/$target ../../docs/reference"
    case $target in
        yaml) real_ones="$real/buildspec $real/appspec" ;;
        *) real_ones="$real/$target" ;;
    esac
    for directory in $real_ones; do
        [ ! -d "$directory" ] || seeds="$seeds $directory"
    done
    say "$target for $seconds s"
    # An input that takes a second or half a gigabyte is a finding too.
    # shellcheck disable=SC2086 # a list of words
    cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" $seeds -- \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=64 \
        -max_len=4096 -dict=yaml.dict -print_final_stats=1
done
