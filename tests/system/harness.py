"""What the system tests have in common: processes, waiting, the list of tests and how one is run.

SHOAL names the program (default build/release/shoal), SHOAL_TEST_SLOWER makes every time limit longer.
"""
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run_directory import summary

ROOT = Path(__file__).resolve().parents[2]
SHOAL = str((ROOT / os.environ.get("SHOAL", "build/release/shoal")).resolve())
PENDULUM = str(ROOT / "configs/sac/pendulum.yaml")
INVERTED_PENDULUM = str(ROOT / "configs/sac/inverted_pendulum.yaml")
CARTPOLE = str(ROOT / "configs/ppo/cartpole.yaml")

# Plug-ins that the build made, most of them to misbehave, and the example.
PLUGINS = str(Path(SHOAL).parent / "tests/plugins")
EXAMPLE = ROOT / "actor/plugin/example"

# Thousands of transitions per second, so that a whole training fits into a test.
FAST = ["network.hidden=[16,16]", "learner.batch_size=64", "replay.samples_per_insert=64", "replay.min_size=200",
        "eval.episodes=3", "eval.every=1000", "metrics.every_s=0.1", "metrics.hash_every=50"]
USAGE, BAD_DATA, DIVERGED, BAD_IO, TEMPORARY, CONFIG, INTERRUPTED = 64, 65, 70, 74, 75, 78, 130


# ---- processes ----

def living(root):
    """{pid: command line} of the processes below `root`."""
    # A process whose first thread has ended looks dead while others, with children of theirs, are still dying.
    parents, names, dead = {}, {}, set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            names[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ").strip()
        except OSError:
            continue    # gone meanwhile
        parents[int(path.name)] = int(parent)
        dead |= {int(path.name)} if state == "Z" else set()
    found = set()
    while more := {p for p, parent in parents.items() if parent in found | {root}} - found:
        found |= more
    return {p: names[p] for p in sorted(found - dead)}


def children(process, command):
    """Process ids of the `shoal COMMAND` processes that `process` started."""
    return [p for p, line in living(process.pid).items() if line.startswith(f"shoal {command} ")]


# Sanitizer builds take longer.
SLOWER = float(os.environ.get("SHOAL_TEST_SLOWER", "1"))


def wait_for(what, condition, seconds=20.0):
    until = time.monotonic() + seconds * SLOWER
    while not (value := condition()):
        assert time.monotonic() < until, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
    return value


def telling_lines(lines):
    """The beginning of what a sanitizer reports, otherwise the end."""
    reports = [i for i, line in enumerate(lines) if "Sanitizer:" in line]
    return lines[reports[0]:][:30] if reports else lines[-12:]


class Process(subprocess.Popen):
    """A process whose output is in a file."""

    def __init__(self, *args, **options):
        self.output_path = Path(f"output-{len(started)}.txt").resolve()
        with open(self.output_path, "wb") as output:
            super().__init__([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=output,
                             stderr=subprocess.STDOUT, **options)
        started.append(self)

    def output(self):
        return self.output_path.read_text()

    def says(self, pattern, seconds=20.0):
        """Wait for the first (or the only) group of `pattern` in the output."""
        def look():
            ended = self.poll() is not None
            found = re.search(pattern, self.output())
            assert found or not ended, f"ended with {self.returncode} before saying {pattern!r}"
            return found
        found = wait_for(f"{pattern!r} in the output", look, seconds)
        return found[found.re.groups]

    def ends_with(self, status, seconds=20.0):
        found = self.wait(seconds * SLOWER)
        assert found == status, f"{self.args[1]} ended with status {found}, not {status}"


started = []


def shoal(*args, **options):
    return Process(SHOAL, *args, **options)


def train(config, run, *overrides, **options):
    return shoal("train", config, *FAST, *overrides, "--run", run, **options)


def call(*args, env=None):
    """Run shoal to its end: status, stdout, stderr."""
    done = subprocess.run([SHOAL, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def call_well(*args, env=None):
    status, out, err = call(*args, env=env)
    assert status == 0, f"shoal {' '.join(map(str, args))}: status {status}: {err}"
    return out


def learned_returns(config, run, seed, episodes, env=None, overrides=()):
    call_well("train", config, f"seed={seed}", *overrides, "--run", run, env=env)
    result = json.loads(call_well("eval", run, "--episodes", episodes, "--seed", 100, "--json", env=env))
    print(f"    seed {seed}: mean {result['mean']:.1f}, trained in {summary(run)['time_s']:.1f} s", flush=True)
    return result["mean"]


def free_ports(n):
    """So many different ones."""
    with contextlib.ExitStack() as open_until_all_are_known:
        sockets = [open_until_all_are_known.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def free_port():
    return free_ports(1)[0]


def assert_says(text, pattern):
    assert re.search(pattern, text), f"nothing like {pattern!r} in:\n{text[-3000:]}"


# ---- the list of tests ----

TESTS = []    # (function, seconds it may take, whether it is long)


def test(seconds=20, is_long=False):
    def add(function):
        TESTS.append((function, seconds, is_long))
        return function
    return add


# ---- running them ----

def adopt_orphans():
    """Let processes whose parent died become children of this one, so that none can hide."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def kill_what_is_left():
    """Every process below this one was started by the test. Returns their command lines."""
    left = living(os.getpid())
    while pids := living(os.getpid()):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)
    for process in started:
        process.wait()
    try:
        while True:
            os.waitpid(-1, 0)    # orphans
    except ChildProcessError:
        return list(left.values())


def on_alarm(*_):
    raise AssertionError("it took too long")


def run_test(function, seconds):
    """None, or what is wrong; the test's directory stays then."""
    wrong, here = None, os.getcwd()
    directory = tempfile.mkdtemp(prefix="shoal-system-")
    os.chdir(directory)
    started.clear()
    signal.alarm(int(seconds * SLOWER))
    try:
        function()
    except Exception as e:
        wrong = f"{type(e).__name__}: {e}" if not isinstance(e, AssertionError) else str(e) or "an assertion"
        line = e.__traceback__
        while line.tb_next and Path(line.tb_next.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
            line = line.tb_next
        wrong += f" ({Path(line.tb_frame.f_code.co_filename).name}:{line.tb_lineno})"
    finally:
        signal.alarm(0)
        left = kill_what_is_left()
        outputs = [(p, telling_lines(p.output().splitlines())) for p in started[-8:]]
        os.chdir(here)
    if wrong is None and left:
        wrong = f"it left processes behind: {left}"
    if wrong is None:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        wrong += f"\n      its files are in {directory}"
        for process, tail in outputs:
            wrong += "\n        ".join([f"\n      {' '.join(process.args[1:4])} ... ended with {process.returncode}:",
                                       *tail])
    return wrong


def main(args):
    names = [a for a in args if a != "--long"]
    known = {t[0].__name__ for t in TESTS}
    if set(names) - known:
        sys.exit(f"no such test: {' '.join(set(names) - known)}; there are:\n  " + "\n  ".join(sorted(known)))
    if not os.access(SHOAL, os.X_OK):
        sys.exit(f"{SHOAL} is not there: run make first, or set SHOAL")
    adopt_orphans()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    n_passed = n_failed = 0
    for function, seconds, is_long in TESTS:
        if function.__name__ not in names if names else is_long != ("--long" in args):
            continue
        began = time.monotonic()
        wrong = run_test(function, seconds)
        n_passed += wrong is None
        n_failed += wrong is not None
        print(f"{'ok    ' if wrong is None else 'FAILED'} {time.monotonic() - began:5.1f} s  {function.__name__}"
              + ("" if wrong is None else f"\n      {wrong}"), flush=True)
    print(f"system: {n_passed} passed, {n_failed} failed")
    return n_failed > 0
