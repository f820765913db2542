#!/usr/bin/env bash
# Runs test programs of one build and adds up what Check says. As many at a time as there are cores,
# but those whose name has "zmq" in it one by one at the end: they measure how long sockets take.
#   tests/run.sh VARIANT PROGRAM...
set -uo pipefail

variant=$1
shift
# Directories that tests leave behind are kept only for looking at a failure.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/shoal-tests-XXXXXX")
export TMPDIR
jobs=$(nproc)

# Leaves status, time and output of one program in $TMPDIR/result-N.*
run_one() {
    local number=$1 program=$2 started
    started=$(date +%s%N)
    "$program" >"$TMPDIR/result-$number.log" 2>&1
    echo "$? $((($(date +%s%N) - started) / 100000000))" >"$TMPDIR/result-$number.status"
}

checks=0 failures=0 errors=0 broken=0
report() {
    local number=$1 program=$2 log=$TMPDIR/result-$1.log status tenths totals c f e
    read -r status tenths <"$TMPDIR/result-$number.status"
    totals=$(grep -oE 'Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$log" | tail -n 1)
    if [ -n "$totals" ]; then
        read -r c f e <<<"$(tr -dc '0-9 ' <<<"$totals")"
        checks=$((checks + c)) failures=$((failures + f)) errors=$((errors + e))
    fi
    if [ "$status" -eq 0 ] && [ -n "$totals" ]; then
        printf '  ok   %-44s %3d checks  %d.%d s\n' "${program#build/}" "$c" $((tenths / 10)) $((tenths % 10))
    else
        broken=$((broken + 1))
        printf '  FAIL %s (status %d)\n' "${program#build/}" "$status"
        sed 's/^/       /' "$log"
    fi
}

together=() alone=()
for program in "$@"; do
    case $program in
    *zmq*) alone+=("$program") ;;
    *) together+=("$program") ;;
    esac
done

number=0
for program in ${together[@]+"${together[@]}"}; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    run_one $number "$program" &
    number=$((number + 1))
done
wait
for program in ${alone[@]+"${alone[@]}"}; do
    run_one $number "$program"
    number=$((number + 1))
done

number=0
for program in ${together[@]+"${together[@]}"} ${alone[@]+"${alone[@]}"}; do
    report $number "$program"
    number=$((number + 1))
done
grep -hs '^ *skipped: ' "$TMPDIR"/result-*.log | sort -u
printf '%s: Checks: %d, Failures: %d, Errors: %d\n' "$variant" "$checks" "$failures" "$errors"
if [ "$broken" -eq 0 ] && [ "$failures" -eq 0 ] && [ "$errors" -eq 0 ]; then
    rm -rf -- "$TMPDIR"
else
    printf 'what the tests wrote is in %s\n' "$TMPDIR"
    exit 1
fi
