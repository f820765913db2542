#!/usr/bin/env python3
"""How fast Gymnasium's own environments step, in Python on one core.

    python3 tests/peers/speed.py [--json] [--seconds 2] [--repeats 3] ENV...

Random actions inside the bounds are drawn before the clock starts; episodes that end are reset
inside it, as a training would. The figure is the median over the repeats. Environments run one
after the other in the order given. --json prints one object:

    {"gymnasium": "1.2.3", "mujoco": "3.3.7", "numpy": "2.4.6", "python": "3.11.7",
     "environments": [{"name": ..., "steps_per_s": ..., "repeats": [...], "steps": ...}]}
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

import gymnasium  # noqa: E402
import mujoco  # noqa: E402
import numpy  # noqa: E402

N_ACTIONS = 4096
CHUNK = 64    # steps between looks at the clock


def run(env, actions, seconds):
    """Step for about `seconds`; returns the steps done and the CPU time they took."""
    n, i, started = 0, 0, time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        for _ in range(CHUNK):
            _, _, terminated, truncated, _ = env.step(actions[i])
            i = (i + 1) % N_ACTIONS
            if terminated or truncated:
                env.reset()
        n += CHUNK
    return n, elapsed


def measure(name, seconds, repeats):
    env = gymnasium.make(name, disable_env_checker=True)
    env.action_space.seed(1)
    actions = [env.action_space.sample() for _ in range(N_ACTIONS)]
    env.reset(seed=1)
    run(env, actions, seconds / 10)
    runs = [run(env, actions, seconds) for _ in range(repeats)]
    env.close()
    speeds = [n / elapsed for n, elapsed in runs]
    return dict(name=name, steps_per_s=statistics.median(speeds), repeats=speeds,
                steps=sum(n for n, _ in runs))


def one_core():
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("environments", nargs="+")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    gymnasium.logger.min_level = gymnasium.logger.ERROR

    one_core()
    results = []
    for name in args.environments:
        results.append(measure(name, args.seconds, args.repeats))
        print(f"{name:28} {results[-1]['steps_per_s']:10.0f} steps/s",
              file=sys.stderr if args.json else sys.stdout, flush=True)
    if args.json:
        print(json.dumps(dict(gymnasium=gymnasium.__version__, mujoco=mujoco.__version__,
                              numpy=numpy.__version__, python=platform.python_version(),
                              environments=results), indent=1))


if __name__ == "__main__":
    main()
