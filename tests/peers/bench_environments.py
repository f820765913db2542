#!/usr/bin/env python3
"""Environment steps per second, Shoal's against Gymnasium's own, on one core and in one run.

    make bench-peers-environments                         # in its own Python environment
    python3 tests/peers/bench_environments.py --shoal build/release/shoal [ENV...]

Per environment and round, Gymnasium (tests/peers/speed.py) and Shoal (`shoal bench acting`) take turns;
a ratio is the median over the rounds. Both step under random actions, resets included; Shoal also
writes the rows of fragments. In the last column it is an actor with a 2 x 256 network, at its best number of
environments, that sends what it collects."""

import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ["InvertedPendulum-v5", "InvertedDoublePendulum-v5", "Reacher-v5", "Pusher-v5", "Swimmer-v5",
         "Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5", "HumanoidStandup-v5",
         "Pendulum-v1", "CartPole-v1", "MountainCarContinuous-v0", "Acrobot-v1"]
ONE_THREAD = dict(os.environ, OPENBLAS_NUM_THREADS="1")


def output(command):
    return json.loads(subprocess.run(command, env=ONE_THREAD, check=True, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def one_round(shoal, name):
    """Steps per second: Gymnasium, Shoal's interface, Shoal's actor with a policy at its best E."""
    peer = output([sys.executable, os.path.join(HERE, "speed.py"), "--json", "--seconds", "0.5",
                   "--repeats", "1", name])
    rows = output([shoal, "bench", "acting", "--json", "--filter", name, "--seconds", "0.15"])["rows"]
    rates = {r["column"]: r["median"] for r in rows if r["name"] == name}
    policy = max(rate for column, rate in rates.items() if column not in ("bare", "interface"))
    return peer["environments"][0]["steps_per_s"], rates["interface"], policy


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shoal", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="ENV")
    args = parser.parse_args()
    print(f"{'steps/s, one core':26} {'Gymnasium':>10} {'Shoal':>10} {'ratio':>7} "
          f"{'2 x 256 policy':>15} {'ratio':>7}")
    for name in args.names:
        rounds = [one_round(args.shoal, name) for _ in range(args.rounds)]
        peer, shoal, policy = (statistics.median(r[i] for r in rounds) for i in range(3))
        ratio, with_policy = (statistics.median(r[i] / r[0] for r in rounds) for i in (1, 2))
        print(f"{name:26} {peer:10.0f} {shoal:10.0f} {ratio:6.1f}x {policy:15.0f} {with_policy:6.1f}x",
              flush=True)


if __name__ == "__main__":
    main()
