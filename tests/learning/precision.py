#!/usr/bin/env python3
"""Do faster precisions learn as well? SAC in f32, bf16x3 and bf16 on three tasks, five seeds each.

usage: /usr/bin/python3 tests/learning/precision.py [--dir DIR] [--jobs N] [--precisions P,P] [--seeds N,N] [--table]

From the repository root; some eleven core-hours in all. Runs stay in DIR (default runs/precision) and go on where they
stopped, as in learn.py, whose ways of training these are. A run's score is the mean of its last three evaluations (20
episodes each, without noise) over what a random policy gets, so that a ratio of scores means something where returns
are negative. The table has interquartile means, and against f32 the ratio of interquartile means with a 95 %
percentile bootstrap over seeds (each precision's seeds drawn by themselves, 20 000 draws). `learner.precision: auto`
takes a precision when the lower end is above 0.85 on every task.
Standard library only.
"""
import argparse
import json
import random
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import learn

PRECISIONS = ["f32", "bf16", "bf16x3"]
ENOUGH = 0.85
DRAWS = 20000
# task: config, transitions between evaluations, transitions, mean return of random actions (20 000 steps, seed 1000)
TASKS = {
    "pendulum": ("sac/pendulum.yaml", 2000, 20000, -1221.0),
    "hopper": ("sac/hopper.yaml", 10000, 150000, 18.0),
    "cheetah": ("sac/half_cheetah.yaml", 10000, 150000, -299.0),
}


def case(task, precision):
    config, every, steps, _ = TASKS[task]
    return learn.Case(f"{task}-{precision}", config, 0, "", last=3, overrides=[
        f"total_steps={steps}", f"eval.every={every}", "eval.episodes=20", f"learner.precision={precision}", "learner.workers=1",
        "actors=1", "metrics.every_s=5"])


def ratio_interval(values, base):
    """95 % percentile bootstrap of the ratio of interquartile means."""
    rng = random.Random(0)
    draw = lambda v: learn.interquartile_mean(rng.choices(v, k=len(v)))
    ratios = sorted(draw(values) / draw(base) for _ in range(DRAWS))
    return ratios[int(0.025 * DRAWS)], ratios[int(0.975 * DRAWS) - 1]


def table(root, seeds):
    print("| task | precision | seeds | return | IQM | score over f32's, 95 % interval | time s |\n| --- | --- | --- | --- | --- | --- | --- |")
    for task, (_, _, _, floor) in TASKS.items():
        base = None
        for precision in PRECISIONS:
            files = [learn.run_directory(root, case(task, precision), s) / "final.json" for s in seeds]
            results = [json.loads(f.read_text()) for f in files if f.exists()]
            if not results:
                continue
            values = [r["value"] for r in results]
            scores = [v - floor for v in values]
            base = base or scores
            against = "1"
            if scores is not base:
                low, high = ratio_interval(scores, base)
                ratio = learn.interquartile_mean(scores) / learn.interquartile_mean(base)
                against = f"{ratio:.2f}, {low:.2f} to {high:.2f}{'' if low > ENOUGH else ' **not enough**'}"
            print(f"| {task} | {precision} | {len(values)} | {' '.join(f'{v:.0f}' for v in values)} | "
                  f"{learn.interquartile_mean(values):.0f} | {against} | {statistics.fmean(r['time_s'] for r in results):.0f} |")


def main():
    parser = argparse.ArgumentParser(description="learning in three precisions", epilog="see the head of this file")
    parser.add_argument("--dir", type=Path, default=Path("runs/precision"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--table", action="store_true", help="print what is there and train nothing")
    arguments = parser.parse_args()
    seeds, failed = [int(s) for s in arguments.seeds.split(",")], 0
    arguments.dir.mkdir(parents=True, exist_ok=True)
    if not arguments.table:
        jobs = [(case(t, p), s) for s in seeds for t in TASKS for p in arguments.precisions.split(",")]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            for (c, seed), r in zip(jobs, pool.map(lambda job: learn.train(arguments.dir, *job), jobs)):
                failed += "error" in r
                print(f"  {c.name} seed {seed}: " + (r.get("error") or f"{r['value']:.1f} in {r['time_s']:.0f} s"), flush=True)
    table(arguments.dir, seeds)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
