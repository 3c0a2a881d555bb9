# shellcheck shell=bash
# For the tests that are scripts (Tests/*/run): what they say, and how they wait. Sourced, never run.

failures=0
ok() { echo "ok $*"; }
not_ok() { failures=$((failures + 1)); echo "not ok $*"; }
skip() { echo "skip $*"; } # skip WHAT: WHY

# check WHAT CMD…: CMD must succeed.
check() {
    local what=$1 status=0
    shift
    "$@" </dev/null || status=$?
    if [ $status = 0 ]; then ok "$what"; else not_ok "$what (status $status)"; fi
}

# says WHAT PATTERN STATUS CMD…: CMD must end with STATUS and print (on either stream) what PATTERN, a grep -E, matches.
# An empty PATTERN: it must print nothing.
says() {
    local what=$1 pattern=$2 wanted=$3 status=0 output
    shift 3
    output=$("$@" 2>&1 </dev/null) || status=$?
    if [ $status != "$wanted" ]; then
        not_ok "$what (status $status, expected $wanted)"
    elif [ -z "$pattern" ] && [ -n "$output" ]; then
        not_ok "$what (expected no output)"
    elif ! grep -qE -- "$pattern" <<<"$output"; then
        not_ok "$what (expected output matching: $pattern)"
    else
        ok "$what"
        return
    fi
    head -n 40 <<<"$output" | sed 's/^/    /'
}

# eventually SECONDS CMD…: CMD succeeds within that time.
eventually() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.05
    done
}

# Ends the script: with what was left of it failing, it fails.
finish_tests() { [ $failures = 0 ] || exit 1; exit 0; }
