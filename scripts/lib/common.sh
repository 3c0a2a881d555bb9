# shellcheck shell=bash
# What the scripts share: words, packages, the toolchain, free ports. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bold='' dim='' red='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; fi

step() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s    %s%s\n' "$dim" "$*" "$plain"; }
warn() { printf '%s%s: %s%s\n' "$red" "$(basename "$0")" "$*" "$plain" >&2; }
fail() { warn "$*"; exit 1; }
usage_error() { warn "$*"; exit 2; }

# install_packages PACKAGE…: installs with apt those of the packages that are missing.
install_packages() {
    local package missing=() sudo=()
    command -v dpkg-query >/dev/null || fail "this is no Debian: please install the equivalents of: $*"
    for package; do
        [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = 'install ok installed' ] || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    step "installing ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "missing: ${missing[*]}; there is no sudo here, so please run as root: apt-get install ${missing[*]}"
        sudo=(sudo)
    fi
    local log
    log=$(mktemp)
    if ! { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" ||
        { "${sudo[@]}" apt-get update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; }; } >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        fail "could not install ${missing[*]}: apt-get said the above"
    fi
    rm -f "$log"
}

# try_packages PACKAGE…: the same for what can be done without; says so and goes on.
try_packages() {
    (install_packages "$@") || note "going on without $*"
}

# require_swift: a toolchain no older than .swift-version asks for.
require_swift() {
    local wanted version
    wanted=$(cat "$root/.swift-version")
    command -v swift >/dev/null ||
        fail "there is no swift in PATH: please install Swift $wanted or later (https://www.swift.org/install/linux)"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || fail "'swift --version' prints no version: please install Swift $wanted or later"
    [ "$(printf '%s\n%s\n' "$wanted" "$version" | sort -V | head -n 1)" = "$wanted" ] ||
        fail "Swift $version is too old: please install Swift $wanted or later (https://www.swift.org/install/linux)"
}

# Where and how everything that is tested is built. STRICT=1 makes warnings errors; as that compiles everything anew,
# a build that is used otherwise too is better kept apart by SCRATCH_PATH.
scratch=${SCRATCH_PATH:-$root/.build}
# shellcheck disable=SC2034
test_flags=(--scratch-path "$scratch" --explicit-target-dependency-import-check error)
[ "${STRICT-}" != 1 ] || test_flags+=(-Xswiftc -warnings-as-errors)

# build ARG…: `swift build`. On a terminal with its own progress; in a pipe only what went wrong.
build() {
    local started=$SECONDS log
    if [ -t 1 ]; then
        swift build --package-path "$root" "$@" || fail "swift build $* failed: see above"
    else
        log=$(mktemp)
        if ! swift build --package-path "$root" "$@" >"$log" 2>&1; then
            { grep -E 'error:' "$log" || tail -n 30 "$log"; } | sort -u | head -n 40 >&2
            rm -f "$log"
            fail "swift build $* failed: see above"
        fi
        rm -f "$log"
    fi
    note "built in $((SECONDS - started)) s"
}

# free_port PORT: PORT if nothing listens on it on loopback here, or else the next free one.
free_port() {
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}
