#!/usr/bin/env bash
# Runs test programs of one build and adds up what Check says.
#   tests/run.sh VARIANT PROGRAM...
set -uo pipefail

variant=$1
shift
# Directories that tests leave behind are kept only for looking at a failure.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/shoal-tests-XXXXXX")
export TMPDIR
log=$TMPDIR/output

checks=0 failures=0 errors=0 broken=0
for program in "$@"; do
    started=$(date +%s%N)
    "$program" >"$log" 2>&1
    status=$?
    seconds=$((($(date +%s%N) - started) / 100000000))
    totals=$(grep -oE 'Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$log" | tail -n 1)
    if [ -n "$totals" ]; then
        read -r c f e <<<"$(tr -dc '0-9 ' <<<"$totals")"
        checks=$((checks + c)) failures=$((failures + f)) errors=$((errors + e))
    fi
    if [ "$status" -eq 0 ] && [ -n "$totals" ]; then
        printf '  ok   %-44s %3d checks  %d.%d s\n' "${program#build/}" "$c" $((seconds / 10)) $((seconds % 10))
    else
        broken=$((broken + 1))
        printf '  FAIL %s (status %d)\n' "${program#build/}" "$status"
        sed 's/^/       /' "$log"
    fi
done
printf '%s: Checks: %d, Failures: %d, Errors: %d\n' "$variant" "$checks" "$failures" "$errors"
if [ "$broken" -eq 0 ] && [ "$failures" -eq 0 ] && [ "$errors" -eq 0 ]; then
    rm -rf -- "$TMPDIR"
else
    printf 'what the tests wrote is in %s\n' "$TMPDIR"
    exit 1
fi
