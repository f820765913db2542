#!/usr/bin/env bash
# Runs test programs of one build and adds up what Check says.
#   tests/run.sh VARIANT PROGRAM...
set -uo pipefail

variant=$1
shift
# The stack that would detect use after return is not aligned for AVX-512 vectors (gcc 12).
export ASAN_OPTIONS=detect_stack_use_after_return=0:strict_string_checks=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:print_suppressions=0:halt_on_error=1
# Sanitizer builds run whole trainings shortened: they look for faults, not for learning.
if [ "$variant" != release ]; then export SHOAL_TEST_SHORT=1; fi

checks=0 failures=0 errors=0 broken=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
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
[ "$broken" -eq 0 ] && [ "$failures" -eq 0 ] && [ "$errors" -eq 0 ]
