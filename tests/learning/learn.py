#!/usr/bin/env python3
"""Learning gates: does each algorithm learn what it must, on every seed asked for?

usage: /usr/bin/python3 tests/learning/learn.py [--dir DIR] [--jobs N] [--list] [--table] [NAME...]

From the repository root. SHOAL names the program (default build/release/shoal). Every case trains its seeds with
`shoal train` and plays the last policy with `shoal eval`; NAMEs choose cases, patterns with '*' several of them,
"quick" those of `make test`, and without any all are run. Runs stay in DIR (default runs/learning): a finished one is not
trained again and an interrupted one goes on, so the whole thing may be stopped at any time. All but A3C train in `sync`,
so that what is printed can be repeated. --table only prints what is
there, as Markdown. Exit status 0 when every case passes.

Thresholds: what a case must reach is what the published baselines or the task itself call learned (see `why`).
Standard library only.
"""
import argparse
import csv
import fnmatch
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SHOAL = os.environ.get("SHOAL", "build/release/shoal")
EVAL_SEED = 1000    # not a training seed


class Case:
    """name; config; overrides; seeds; episodes of the final evaluation; `bar` that `need` of the seeds must reach
    (need 0: the mean over the seeds must); `last` > 0: the mean of a seed's last so many evaluations counts; mode."""

    def __init__(self, name, config, bar, why, seeds=range(1, 6), need=4, overrides=(), episodes=20, last=0, quick=None,
                 mode="sync"):
        self.name, self.config, self.bar, self.why = name, config, bar, why
        self.seeds, self.need, self.overrides = list(seeds), need, list(overrides)
        self.episodes, self.last, self.quick, self.mode = episodes, last, quick, mode


SOLVED = "CartPole counts as solved at 475 of 500"
SWING = "a policy that swings up and holds scores about -150; one that does not stays below -1000"
STANDS = "the pole stands for all but 50 of 1000 steps; a random policy falls after about 10"
PENDULUM, POLE = "pendulum.yaml", "inverted_pendulum.yaml"

CASES = [
    Case("ppo-cartpole", "ppo/cartpole.yaml", 475, SOLVED, overrides=["total_steps=100000"], quick=[1, 2]),
    Case("a2c-cartpole", "a2c/cartpole.yaml", 475, SOLVED, overrides=["total_steps=500000"], quick=[1]),
    Case("a3c-cartpole", "a2c/cartpole.yaml", 475, SOLVED, overrides=["preset=a3c", "total_steps=200000"], quick=[1],
         mode="gradients"),
    Case("sac-cartpole", "sac/cartpole.yaml", 475, SOLVED, overrides=["total_steps=50000"]),
    *(Case(f"{a}-pendulum", f"{a}/{PENDULUM}", -170, SWING, overrides=["total_steps=20000"], episodes=100,
           quick=[1] if a != "sac" else None) for a in ("ddpg", "td3", "sac")),
    Case("ppo-pendulum", f"ppo/{PENDULUM}", -250, SWING, overrides=["total_steps=200000"], episodes=100, quick=[1]),
    *(Case(f"{a}-pole", f"{a}/{POLE}", 950, STANDS, overrides=[f"total_steps={n}"], quick=[1] if a == "sac" else None)
      for a, n in (("sac", 20000), ("td3", 20000), ("ddpg", 50000), ("ppo", 200000))),
    Case("ppo-cheetah-cleanrl", "ppo/half_cheetah.yaml", 1350, "CleanRL reports 1443 after 1 M steps", seeds=[1, 2, 3],
         need=0, overrides=["preset=cleanrl", "total_steps=1000000"]),
    Case("ppo-cheetah", "ppo/half_cheetah.yaml", 4500, "tuned PPO in Tianshou and the Zoo reports 5800",
         seeds=[1, 2, 3], need=0, overrides=["total_steps=1000000"]),
    Case("ppo-hopper", "ppo/hopper.yaml", 2100, "CleanRL reports 2383, the Zoo 2410", seeds=[1, 2, 3], need=0, last=5,
         overrides=["total_steps=1000000"]),
    Case("a2c-hopper", "a2c/hopper.yaml", 700, "the Zoo reports 733", seeds=[1, 2, 3], need=0,
         overrides=["total_steps=1000000"]),
    Case("ddpg-cheetah", "ddpg/half_cheetah.yaml", 4000, "a third of what CleanRL's DDPG reaches in 1 M", seeds=[1],
         need=0, overrides=["total_steps=300000"]),
    Case("td3-cheetah", "td3/half_cheetah.yaml", 5000, "half of what CleanRL's TD3 reaches in 1 M", seeds=[1, 2],
         need=0, overrides=["total_steps=300000"]),
    Case("sac-cheetah", "sac/half_cheetah.yaml", 5000, "half of what CleanRL's SAC reaches in 1 M", seeds=[1, 2],
         need=0, overrides=["total_steps=300000"]),
]


def run_directory(root, case, seed):
    return root / f"{case.name}-{seed}"


def train(root, case, seed):
    """Train and play one seed, unless that was done; the result, or an error in words."""
    run = run_directory(root, case, seed)
    answer = run / "final.json"
    if answer.exists():
        return json.loads(answer.read_text())
    command = [SHOAL, "train", "--resume", str(run)]
    if not (run / "config.yaml").exists():
        command = [SHOAL, "train", f"configs/{case.config}", f"seed={seed}", f"mode={case.mode}", *case.overrides, "--run", str(run)]
    for attempt in command, [SHOAL, "eval", str(run), "--episodes", str(case.episodes), "--seed", str(EVAL_SEED), "--json"]:
        done = subprocess.run(attempt, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return {"error": f"{shlex.join(attempt)}: status {done.returncode}: {done.stderr.strip()[-400:]}"}
    result = summarise(run, case, json.loads(done.stdout))
    answer.write_text(json.dumps(result))
    return result


def summarise(run, case, played):
    summary = json.loads((run / "summary.json").read_text())
    with open(run / "eval.csv", newline="") as f:
        evaluations = [float(row["mean"]) for row in csv.DictReader(f)]
    with open(run / "metrics.csv", newline="") as f:
        lags = [(float(row["staleness_mean"]), float(row["staleness_max"])) for row in csv.DictReader(f)]
    config = (run / "config.yaml").read_text()
    horizon = next(line.split(":")[1].split()[0] for line in config.splitlines() if line.strip().startswith("horizon:"))
    value = statistics.fmean(evaluations[-case.last:]) if case.last else played["mean"]
    return {"value": value, "final": played["mean"], "std": played["std"], "time_s": summary["time_s"],
            "horizon": int(horizon), "lag_mean": statistics.fmean(l[0] for l in lags), "lag_max": max(l[1] for l in lags)}


def interquartile_mean(values):
    """The mean of what is left when a quarter (rounded down) is dropped at either end."""
    drop = len(values) // 4
    return statistics.fmean(sorted(values)[drop:len(values) - drop])


def interval(values, draws=10000):
    """95 % percentile bootstrap of the mean."""
    rng = random.Random(0)
    means = sorted(statistics.fmean(rng.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws) - 1]


def judge(case, results):
    """(passes, a line of Markdown)."""
    good = [r for r in results if "error" not in r]
    values = [r["value"] for r in good]
    if not values:
        return False, None
    reached = sum(v >= case.bar for v in values)
    mean = statistics.fmean(values)
    passes = len(good) == len(results) and (mean >= case.bar if case.need == 0
                                            else reached >= min(case.need, len(case.seeds)))
    low, high = interval(values)
    rule = f"mean >= {case.bar}" if case.need == 0 else f">= {case.bar} on {min(case.need, len(case.seeds))} of {len(case.seeds)}"
    cells = [case.name, " ".join(map(str, case.seeds[:len(good)])), rule, " ".join(f"{v:.0f}" for v in values), f"{mean:.1f}",
             f"{interquartile_mean(values):.1f}", f"{low:.0f} to {high:.0f}",
             f"{statistics.fmean(r['time_s'] for r in good):.0f}", str(good[0]["horizon"]),
             f"{statistics.fmean(r['lag_mean'] for r in good):.1f} / {max(r['lag_max'] for r in good):.0f}",
             "yes" if passes else "**no**"]
    return passes, "| " + " | ".join(cells) + " |"


HEAD = ("| case | seeds | must reach | reached | mean | IQM | 95 % interval | time s | T | lag mean / max | passes |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")


def chosen(names):
    if names == ["quick"]:
        cases = [c for c in CASES if c.quick]
        for c in cases:
            c.seeds, c.need = c.quick, len(c.quick)
        return cases
    for name in names:
        if not any(matches(c, name) for c in CASES):
            sys.exit(f"learn.py: no case is called {name}; --list shows them")
    return [c for c in CASES if not names or any(matches(c, name) for name in names)]


def matches(case, name):
    return fnmatch.fnmatchcase(case.name, name)


def main():
    parser = argparse.ArgumentParser(description="learning gates", epilog="see the head of this file")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--dir", type=Path, default=Path("runs/learning"))
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once; each wants a core and more")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true", help="print what is there and train nothing")
    arguments = parser.parse_args()
    cases = chosen(arguments.names)
    if arguments.list:
        for c in cases:
            print(f"{c.name:22} {c.config} {' '.join(c.overrides)}: {c.bar} ({c.why})")
        return 0
    arguments.dir.mkdir(parents=True, exist_ok=True)
    jobs = [(c, s) for c in cases for s in c.seeds]
    if arguments.table:
        jobs = [(c, s) for c, s in jobs if (run_directory(arguments.dir, c, s) / "final.json").exists()]
    begun, results, failed = time.monotonic(), {c.name: [] for c in cases}, 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for (case, seed), r in zip(jobs, pool.map(lambda job: train(arguments.dir, *job), jobs)):
            results[case.name].append(r)
            if not arguments.table:
                print(f"  {case.name} seed {seed}: " + (r.get("error") or f"{r['value']:.1f} in {r['time_s']:.0f} s"), flush=True)
    print(HEAD)
    for case in cases:
        if arguments.table and not results[case.name]:
            continue
        passes, line = judge(case, results[case.name])
        failed += not passes
        print(line or f"| {case.name} | failed to train |")
    print(f"learning: {len(cases) - failed} of {len(cases)} cases pass, {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
