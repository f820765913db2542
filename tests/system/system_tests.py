#!/usr/bin/python3
"""System tests: the real program, as processes, the way people start it.

usage: /usr/bin/python3 tests/system/system_tests.py [--long] [NAME...]

From the repository root. SHOAL names the program (default build/release/shoal). Without --long the quick
tests run, with it the long ones; NAMEs run those only. Every test works in a directory of its own, talks over
127.0.0.1 or ipc sockets in that directory, and fails if it leaves a process behind.

harness.py has what they share, run_directory.py reads what a run leaves; the tests are in a file per theme.
"""
import sys

import harness

# Their tests put themselves into the harness's list, in this order.
import training_tests
import stopping_tests
import schedule_tests
import rounds_tests
import fault_tests
import rollout_tests
import plug_in_tests
import terminal_tests

if __name__ == "__main__":
    sys.exit(harness.main(sys.argv[1:]))
