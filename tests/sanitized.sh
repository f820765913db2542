#!/usr/bin/env bash
# Runs a command with the sanitizers' options; suppressions name only what is not ours.
#   tests/sanitized.sh COMMAND...
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# The stack that would detect use after return is not aligned for AVX-512 vectors (gcc 12).
export ASAN_OPTIONS=detect_stack_use_after_return=0:strict_string_checks=1
export LSAN_OPTIONS=suppressions=$here/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$here/tsan.supp:print_suppressions=0
# Whole trainings are shortened, and whatever waits is patient: these builds look for faults.
export SHOAL_TEST_SHORT=1 SHOAL_TEST_SLOWER=6
exec "$@"
