#!/usr/bin/env bash
# Gets what the build needs: Debian packages, MuJoCo and Gymnasium's MJCF models. Run by
# `make deps`; safe to run again at any time, and does nothing when all is in place.
#
# Environment:
#   MUJOCO_VERSION  a version listed in deploy/wheels.txt (default: the first listed)
#   MUJOCO_DIR      an installed MuJoCo to use instead; nothing is downloaded then
#   SHOAL_MODELS    a directory of models to use instead; nothing is downloaded then
#   BUILD_DEPS      where to unpack (default: build/deps)
#
# Result:
#   $BUILD_DEPS/mujoco/include/mujoco/*.h, $BUILD_DEPS/mujoco/lib/libmujoco.so*
#   $BUILD_DEPS/models/*.xml
#   $BUILD_DEPS/.stamp    names the versions that were unpacked
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wheels=$here/wheels.txt
deps=${BUILD_DEPS:-build/deps}
stamp=$deps/.stamp
mujoco_dir=${MUJOCO_DIR:-}
models_dir=${SHOAL_MODELS:-}
arch=$(uname -m)
tmp=

say() { printf 'deps: %s\n' "$*"; }
die() {
    printf 'deps: %s\n' "$*" >&2
    exit 1
}
cleanup() { if [ -n "$tmp" ]; then rm -rf -- "$tmp"; fi; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- pinned versions ----

# All versions of a package in wheels.txt, one a line.
pinned() { awk -v p="$1==" 'index($1, p) == 1 { print substr($1, length(p) + 1) }' "$wheels"; }

# The requirement of one package and version, with its hashes.
requirement() {
    awk -v want="$1==$2" '$1 == want { on = 1 } on { print; if ($0 !~ /\\$/) exit }' "$wheels"
}

mujoco_version=${MUJOCO_VERSION:-$(pinned mujoco | head -n 1)}
gymnasium_version=$(pinned gymnasium | head -n 1)
mujoco_line="mujoco $mujoco_version $arch"
models_line="gymnasium $gymnasium_version"

if [ -z "$mujoco_dir" ]; then
    if [ -z "$(requirement mujoco "$mujoco_version")" ]; then
        die "deploy/wheels.txt has no hash for MuJoCo $mujoco_version: set MUJOCO_VERSION to one" \
            "it lists ($(pinned mujoco | paste -sd ' ')), or MUJOCO_DIR to an installed MuJoCo."
    fi
    case "$(uname -s) $arch" in
    'Linux x86_64' | 'Linux aarch64') ;;
    *) die "deploy/wheels.txt has MuJoCo for Linux on x86_64 and aarch64 only, and this is" \
        "$(uname -s) on $arch: set MUJOCO_DIR to an installed MuJoCo." ;;
    esac
elif [ ! -f "$mujoco_dir/include/mujoco/mujoco.h" ] || [ ! -e "$mujoco_dir/lib/libmujoco.so" ]; then
    die "MUJOCO_DIR=$mujoco_dir is not an installed MuJoCo: it needs include/mujoco/mujoco.h and" \
        "lib/libmujoco.so."
fi
if [ -n "$models_dir" ] && ! compgen -G "$models_dir/*.xml" >/dev/null; then
    die "SHOAL_MODELS=$models_dir has no model: it needs Gymnasium's *.xml files."
fi

# ---- what is missing ----

# The C library of msgpack is in libmsgpack-c-dev on newer releases and in libmsgpack-dev on
# older ones; either will do.
msgpack=(libmsgpack-c-dev libmsgpack-dev)
packages=(gcc libc6-dev make pkg-config libzmq3-dev libopenblas-dev libyaml-dev check
    libsubunit-dev libsodium-dev libjansson-dev zlib1g-dev libzip-dev python3 python3-pip
    python3-zmq python3-msgpack valgrind ca-certificates)

has_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

# Of the packages named, those that are installed.
installed() {
    # shellcheck disable=SC2016 # ${...} is dpkg-query's
    { dpkg-query -W -f='${Status}\t${Package}\n' "$@" 2>/dev/null || true; } |
        awk -F'\t' '$1 ~ / ok installed$/ { print $2 }' | sort -u
}

# Needed packages that are not installed, one a line; "msgpack" stands for either of its names.
packages_missing() {
    comm -13 <(installed "${packages[@]}") <(printf '%s\n' "${packages[@]}" | sort)
    if [ -z "$(installed "${msgpack[@]}")" ]; then echo msgpack; fi
}

# On a system without apt nothing can be installed here, but what is there can be seen.
foreign_missing() {
    local tool module
    for tool in gcc make pkg-config python3 valgrind; do
        command -v "$tool" >/dev/null || echo "$tool"
    done
    for module in libzmq openblas yaml-0.1 check libsodium jansson zlib libzip; do
        pkg-config --exists "$module" 2>/dev/null || echo "$module"
    done
    pkg-config --exists msgpack-c 2>/dev/null || pkg-config --exists msgpack 2>/dev/null ||
        echo msgpack-c
}

stamped() { [ -f "$stamp" ] && grep -qxF -- "$1" "$stamp"; }

have_mujoco() {
    [ -n "$mujoco_dir" ] || {
        stamped "$mujoco_line" && [ -f "$deps/mujoco/include/mujoco/mujoco.h" ] &&
            [ -f "$deps/mujoco/lib/libmujoco.so" ]
    }
}

have_models() {
    [ -n "$models_dir" ] || { stamped "$models_line" && [ -f "$deps/models/hopper.xml" ]; }
}

have_packages() {
    if has_apt; then [ -z "$(packages_missing)" ]; else [ -z "$(foreign_missing)" ]; fi
}

in_place() { have_packages && have_mujoco && have_models && [ -f "$stamp" ]; }

if in_place; then
    say 'all in place'
    exit 0
fi

# From here on one run at a time; the lock goes with the process.
if ! mkdir -p -- "$deps" 2>/dev/null || [ ! -w "$deps" ]; then
    die "cannot write to $deps: run make as the owner of this tree, or set BUILD_DEPS."
fi
if command -v flock >/dev/null; then
    exec 9>"$deps/.lock"
    flock 9
    if in_place; then
        say 'all in place'
        exit 0
    fi
fi
rm -rf -- "$deps"/.tmp.*
tmp=$(mktemp -d "$deps/.tmp.XXXXXX")

# ---- Debian packages ----

# Of the packages named, those that apt could install.
available() {
    { LC_ALL=C apt-cache policy "$@" 2>/dev/null || true; } |
        awk '/^[^ ].*:$/ { name = substr($1, 1, length($1) - 1) }
             $1 == "Candidate:" && $2 != "(none)" { print name }' | sort -u
}

# Sets `wanted` to the missing packages by their real names, and `unknown` to those of them that
# apt has not heard of.
choose_packages() {
    local name known
    wanted=() unknown=()
    while read -r name; do
        if [ "$name" = msgpack ]; then
            name=${msgpack[1]}
            if [ -n "$(available "${msgpack[0]}")" ]; then name=${msgpack[0]}; fi
        fi
        wanted+=("$name")
    done < <(packages_missing)
    known=$(available "${wanted[@]}")
    for name in "${wanted[@]}"; do
        grep -qxF -- "$name" <<<"$known" || unknown+=("$name")
    done
}

as_root() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" 9>&- >>"$tmp/apt.log" 2>&1
}

apt_get() { as_root apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"; }

# apt's own complaints, on one line.
apt_errors() {
    grep '^[EW]: ' "$tmp/apt.log" | sort -u | head -n 2 | cut -c 1-300 | paste -sd ' ' || true
}

install_packages() {
    local by_hand updated=no
    choose_packages
    by_hand="apt-get update && apt-get install --no-install-recommends ${wanted[*]}"
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "packages are missing, and this is neither root nor a" \
            "user with sudo: run as root: $by_hand"
        root=(sudo)
        sudo -n true 2>/dev/null || sudo -v ||
            die "packages are missing, and sudo refused: run as root: $by_hand"
    fi
    if [ ${#unknown[@]} -gt 0 ]; then
        say "updating apt's package lists"
        # Lists that could not be fetched are only a warning to apt.
        if ! apt_get update || grep -q 'Failed to fetch' "$tmp/apt.log"; then
            choose_packages
            [ ${#unknown[@]} -eq 0 ] || die "'apt-get update' failed ($(apt_errors)): check apt's" \
                "sources and the network, then run: $by_hand"
        fi
        updated=yes
        choose_packages
        [ ${#unknown[@]} -eq 0 ] || die "apt knows no package ${unknown[*]}: enable the" \
            "distribution's main archive (on Ubuntu also universe) in apt's sources."
    fi
    say "installing Debian packages: ${wanted[*]}"
    # Finishes what an interrupted run of dpkg left; does nothing otherwise.
    as_root dpkg --configure -a || true
    if ! apt_get --no-install-recommends install "${wanted[@]}"; then
        # Lists that are out of date name files that are gone.
        if [ $updated = no ]; then
            say "updating apt's package lists and trying again"
            : >"$tmp/apt.log"
            if apt_get update && apt_get --no-install-recommends install "${wanted[@]}"; then
                return
            fi
        fi
        die "apt-get could not install the packages ($(apt_errors)): check apt's sources and the" \
            "network, then run: $by_hand"
    fi
}

if ! have_packages; then
    if has_apt; then
        install_packages
    else
        die "this system has no apt-get, so install with its own package manager what is missing" \
            "here ($(foreign_missing | paste -sd ' ')); in full, by Debian's names:" \
            "${packages[*]} ${msgpack[0]}."
    fi
fi

# ---- wheels ----

# The system's Python first: its pip comes with the packages above.
python_with_pip() {
    local python
    for python in /usr/bin/python3 python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    die "python3 has no pip: run as root: apt-get install --no-install-recommends python3-pip"
}

# fetch PACKAGE VERSION: downloads the pinned wheel and unpacks it into $tmp/PACKAGE. A wheel is
# a zip file; which Python it is for does not matter here, but pip has to be told one that exists.
fetch() {
    local package=$1 version=$2 python reason
    local dir=$tmp/wheel-$package log=$tmp/pip.log
    python=$(python_with_pip)
    requirement "$package" "$version" >"$tmp/$package.txt"
    if ! PIP_REQUIRE_VIRTUALENV=0 "$python" -m pip download --disable-pip-version-check --no-input \
        --progress-bar off --no-deps --require-hashes --only-binary=:all: \
        --python-version 3.11 --implementation cp --abi cp311 \
        --platform "manylinux_2_28_$arch" --platform "manylinux_2_17_$arch" \
        --platform "manylinux2014_$arch" \
        --dest "$dir" --requirement "$tmp/$package.txt" 9>&- >"$log" 2>&1; then
        if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
            die "the $package $version that pip found does not match its hash in" \
                "deploy/wheels.txt, so it was not used: check pip's index settings with" \
                "'$python -m pip config list'."
        fi
        reason=$(grep -i 'error' "$log" | tail -n 1 | cut -c 1-300 || true)
        die "pip could not download $package $version (${reason:-no reason given}): check the" \
            "network and '$python -m pip config list', then run 'make deps' again."
    fi
    "$python" -m zipfile -e "$dir/$package-$version"-*.whl "$tmp/$package" >>"$log" 2>&1 ||
        die "the $package $version wheel could not be unpacked in $deps: check the free disk space."
}

# Copies the licence files of an unpacked wheel.
licences() { find "$tmp/$1/$1-$2.dist-info" -type f -name 'LICEN*' -exec cp -t "$3" {} +; }

# place NAME LINE: moves $tmp/new-NAME to $deps/NAME and notes LINE in the stamp. The stamp never
# names what is not there: the old line goes first and the new one comes last.
place() {
    local name=$1 line=$2 word=${2%% *}
    touch "$stamp"
    awk -v w="$word" '$1 != w' "$stamp" >"$tmp/stamp"
    cp "$tmp/stamp" "$tmp/stamp.new"
    mv -T "$tmp/stamp.new" "$stamp"
    if [ -e "$deps/$name" ]; then mv -T "$deps/$name" "$tmp/old-$name"; fi
    mv -T "$tmp/new-$name" "$deps/$name"
    printf '%s\n' "$line" >>"$tmp/stamp"
    mv -T "$tmp/stamp" "$stamp"
}

if ! have_mujoco; then
    say "downloading MuJoCo $mujoco_version for $arch into $deps/mujoco"
    fetch mujoco "$mujoco_version"
    from=$tmp/mujoco/mujoco to=$tmp/new-mujoco
    lib=libmujoco.so.$mujoco_version
    if [ ! -f "$from/$lib" ] || [ ! -f "$from/include/mujoco/mujoco.h" ]; then
        die "the mujoco $mujoco_version wheel has no $lib or no headers: use another" \
            "MUJOCO_VERSION, or set MUJOCO_DIR to an installed MuJoCo."
    fi
    mkdir -p "$to/include/mujoco" "$to/lib"
    cp "$from"/include/mujoco/*.h "$to/include/mujoco/"
    cp "$from/$lib" "$to/lib/"
    ln -s "$lib" "$to/lib/libmujoco.so"
    licences mujoco "$mujoco_version" "$to"
    place mujoco "$mujoco_line"
fi

if ! have_models; then
    say "downloading the models of Gymnasium $gymnasium_version into $deps/models"
    fetch gymnasium "$gymnasium_version"
    to=$tmp/new-models
    mkdir -p "$to"
    cp "$tmp"/gymnasium/gymnasium/envs/mujoco/assets/*.xml "$to/" 2>/dev/null ||
        die "the gymnasium $gymnasium_version wheel has no envs/mujoco/assets/*.xml: set" \
            "SHOAL_MODELS to a directory that has them."
    licences gymnasium "$gymnasium_version" "$to"
    place models "$models_line"
fi

touch "$stamp"
say 'done'
