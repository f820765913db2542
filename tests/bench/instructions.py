#!/usr/bin/env python3
"""Count the instructions of fixed pieces of work under valgrind and compare them with those recorded.

    make check-instructions                       # compares with tests/bench/instructions.txt
    make check-instructions ARGS=--record         # writes it
    make check-instructions ARGS='sac replay'     # cases whose names contain one of these

More than 2 % above the record is a failure; more than 2 % below it, too, as the record no longer says where the
program stands: record anew. Counts belong to a compiler, a C library and a MuJoCo: where they are not those of the
record, nothing is compared. They do not depend on the machine or on what else it does."""

import argparse
import concurrent.futures
import os
import platform
import re
import shutil
import subprocess
import sys

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions.txt")
TOLERANCE = 0.02


def compiler(cc):
    """The compiler's version line, without which program it was called by."""
    line = subprocess.run([*cc.split(), "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return "gcc " + line.split()[-1] if "gcc" in cc or line.startswith("gcc") else line


def tools(cc, mujoco):
    return f"{compiler(cc)}, {' '.join(platform.libc_ver())}, {os.path.basename(os.path.realpath(mujoco))}"


def count(program, name, within):
    done = subprocess.run(["valgrind", "--tool=callgrind", f"--toggle-collect={within}", "--callgrind-out-file=/dev/null",
                           program, name], capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found or int(found.group(1)) == 0:
        sys.exit(f"instructions: {name} could not be counted:\n{done.stderr}")
    return int(found.group(1))


def read_record():
    """(tools, {case: instructions})"""
    if not os.path.exists(RECORD):
        return None, {}
    lines = open(RECORD, encoding="utf-8").read().splitlines()
    return lines[0].lstrip("# "), {name: int(n) for name, n in (line.split() for line in lines if not line.startswith("#"))}


def write_record(here, counts):
    with open(RECORD, "w", encoding="utf-8") as out:
        out.write(f"# {here}\n# Instructions, by `make check-instructions ARGS=--record`.\n")
        out.writelines(f"{name} {n}\n" for name, n in counts.items())


def verdict(now, before):
    if before is None:
        return "not recorded"
    if now > before * (1 + TOLERANCE):
        return "SLOWER"
    return "FASTER: record anew" if now < before * (1 - TOLERANCE) else ""


def compare(counts, record):
    """Print the table.   Returns how many cases are not as recorded."""
    n_bad = 0
    print(f"{'instructions':22}{'recorded':>16}{'now':>16}{'change':>10}")
    for name, now in counts.items():
        before = record.get(name)
        change = f"{100 * (now / before - 1):+.2f} %" if before else "-"
        word = verdict(now, before)
        n_bad += bool(word)
        print(f"{name:22}{before or '-':>16}{now:>16}{change:>10}  {word}")
    return n_bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--mujoco", required=True, help="its library")
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("cases", nargs="*")
    args = parser.parse_args()
    here = tools(args.cc, args.mujoco)
    there, record = read_record()
    if platform.machine() != "x86_64" or not shutil.which("valgrind"):
        print("check-instructions: skipped: it takes valgrind on x86_64")
        return 0
    if not args.record and there != here:
        print(f"check-instructions: skipped: the record is of {there}, and this is {here}")
        return 0
    listed = subprocess.run([args.program], capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = [line.split() for line in listed if not args.cases or any(part in line.split()[0] for part in args.cases)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip((name for name, _ in wanted), pool.map(lambda c: count(args.program, *c), wanted)))
    n_bad = compare(counts, record)
    if args.record:
        known = {**(record if there == here else {}), **counts}
        write_record(here, {line.split()[0]: known[line.split()[0]] for line in listed if line.split()[0] in known})
        return 0
    if n_bad:
        print(f"check-instructions: {n_bad} not as recorded; where that is meant: make check-instructions ARGS=--record")
    return 1 if n_bad else 0


if __name__ == "__main__":
    sys.exit(main())
