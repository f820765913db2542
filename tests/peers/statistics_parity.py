#!/usr/bin/env python3
"""Compare deploy/statistics with rliable, SciPy and NumPy on random scores.

    make test-peers                                 # in its own Python environment
    python3 tests/peers/statistics_parity.py        # with requirements.txt installed

Values. Every statistic, of one arm and of two, with rliable's definition: 1e-9 of max(1, |x|). Where
tasks have different numbers of runs, which rliable's matrices cannot have, SciPy and NumPy say it.
Curves on grids and areas: np.interp and np.trapezoid, 1e-9.

Intervals. The ends of ours, from B draws, and the replicates that rliable's bootstraps draw, R of them,
come from one distribution if both resample alike. So the share of replicates below our end estimates
2.5 % (97.5 %), with a standard error of sqrt(q (1 - q) (1/R + 1/B)): the end may lie 5 of them off.
At replicates that are equal (shares of few pairs) all their ranks are the end's. Task means lie far
apart, so that resampling over tasks, or without regard to them, fails. Once more as rliable's
own interval, so that the ends mean the same: they may differ by a quarter of its width.

Both programs run from fixed seeds: a result does not change from run to run.
"""

import argparse
import os
import subprocess
import sys

import numpy as np
import scipy.stats
from rliable import library, metrics

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEAN, MEDIAN, IQM, GAP, ABOVE, TASKS_ABOVE, IMPROVEMENT = range(7)
DIFFERENCE, RATIO = range(2)
LINEAR, STEP = range(2)

TOLERANCE = 1e-9
SIGMAS = 5
N_DRAWS = 40000
N_REPLICATES, N_SLOW_REPLICATES = 3000, 1000    # slow: SciPy's Mann-Whitney test in each
SHARES = (0.025, 0.975)


class Ours:
    """tests/peers/statistics_of, asked a line at a time."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, *request):
        words = []
        for x in request:
            words += [x] if isinstance(x, str) else [f"{v:.17g}" for v in np.ravel(x)]
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return np.array([float(x) for x in self.process.stdout.readline().split()])

    def interval(self, kind, form, level, arms, seed=1, n_draws=N_DRAWS):
        request = ["interval", kind, form, level, seed, n_draws, len(arms)]
        for x in arms:
            request += [x.shape, x]
        return self.ask(*request)


class Count:
    """What agreed, of how many, and how far the worst was off (1: as far as is allowed)."""

    def __init__(self, title):
        self.title, self.n, self.n_bad, self.worst = title, 0, 0, 0.0

    def add(self, name, ours, theirs, off):
        self.n += 1
        self.worst = max(self.worst, off)
        if not off <= 1:
            self.n_bad += 1
            print(f"  {self.title}: {name}: {ours!r} and {theirs!r}  FAILS")

    def values(self, name, ours, theirs):
        ours, theirs = np.ravel(ours), np.ravel(theirs)
        same_missing = ours.shape == theirs.shape and np.all(np.isnan(ours) == np.isnan(theirs))
        off = np.inf
        if same_missing:
            off = np.nanmax(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)), initial=0)
        self.add(name, ours, theirs, off / TOLERANCE)

    def report(self):
        print(f"  {self.title:44} {self.n:6} compared   worst {self.worst:9.2e} of what is allowed")
        return self.n_bad


# ---- scores and what to ask of them ----

def scores(rng, n_runs, n_tasks, rounded):
    x = rng.normal(size=(n_runs, n_tasks)) * rng.uniform(0.1, 1, n_tasks) + 3 * np.arange(n_tasks)
    return np.round(2 * x) / 2 if rounded else x


def cases():
    """[(name, x, y)]: two arms' [n_runs][n_tasks]."""
    rng = np.random.default_rng(20210830)
    found = []
    for n_x, n_y, n_tasks in [(5, 5, 1), (10, 10, 3), (3, 7, 4), (8, 4, 2), (20, 20, 6)]:
        for rounded in (False, True):
            x, y = scores(rng, n_x, n_tasks, rounded), scores(rng, n_y, n_tasks, rounded) + 0.5
            found.append((f"{n_x} and {n_y} runs, {n_tasks} tasks{', ties' * rounded}", x, y))
    return found


def one_arm(x):
    """[(name, kind, level, rliable's function)]. Profiles stand at scores, too: above is strictly above."""
    found = [("mean", MEAN, 0, metrics.aggregate_mean), ("median", MEDIAN, 0, metrics.aggregate_median),
             ("iqm", IQM, 0, metrics.aggregate_iqm),
             ("gap", GAP, 1, metrics.aggregate_optimality_gap),
             ("gap at 2.5", GAP, 2.5, lambda s: metrics.aggregate_optimality_gap(s, gamma=2.5))]
    for level in np.append(np.quantile(x, [0.1, 0.5, 0.8]) + 0.0123, x[0]):
        found.append((f"above {level:.4g}", ABOVE, level,
                      lambda s, at=level: library.run_score_deviation(s, at)))
    for level in np.quantile(x, [0.3, 0.6]) + 0.0123:
        found.append((f"tasks above {level:.4g}", TASKS_ABOVE, level,
                      lambda s, at=level: library.mean_score_deviation(s, at)))
    return found


def two_arms():
    return [("iqm difference", IQM, DIFFERENCE,
             lambda a, b: metrics.aggregate_iqm(a) - metrics.aggregate_iqm(b)),
            ("iqm ratio", IQM, RATIO,
             lambda a, b: metrics.aggregate_iqm(a) / metrics.aggregate_iqm(b)),
            ("mean difference", MEAN, DIFFERENCE,
             lambda a, b: metrics.aggregate_mean(a) - metrics.aggregate_mean(b))]


# ---- comparisons ----

def compare_ends(count, name, ours, replicates):
    """Are ours the ends of what the replicates, [R], are drawn from?"""
    for end, share in zip(ours[1:], SHARES):
        error = np.sqrt(share * (1 - share) * (1 / len(replicates) + 1 / N_DRAWS))
        slack = TOLERANCE * max(1, abs(end))
        below, up_to = np.mean(replicates < end - slack), np.mean(replicates <= end + slack)
        off = max(below - share, share - up_to, 0) if np.isfinite(end) else np.inf
        count.add(f"{name}, {100 * share} %", end, (below, up_to), off / (SIGMAS * error))


def compare_one(ours, name, x, values, ends):
    asked = one_arm(x)
    np.random.seed(7)    # of the global generator, which rliable draws from
    replicates = library.StratifiedBootstrap(x).apply(
        lambda s: np.array([f(s) for *_, f in asked]), N_REPLICATES)
    for i, (what, kind, level, theirs) in enumerate(asked):
        answer = ours.interval(kind, DIFFERENCE, level, [x])
        values.values(f"{name}: {what}", answer[0], theirs(x))
        compare_ends(ends, f"{name}: {what}", answer, replicates[:, i])


def compare_two(ours, name, x, y, values, ends):
    np.random.seed(8)
    x, y = x + 10, y + 10    # ratios want positive scores
    bootstrap = library.StratifiedIndependentBootstrap(x, y)
    asked = two_arms()
    replicates = bootstrap.apply(lambda a, b: np.array([f(a, b) for *_, f in asked]), N_REPLICATES)
    for i, (what, kind, form, theirs) in enumerate(asked):
        answer = ours.interval(kind, form, 0, [x, y])
        values.values(f"{name}: {what}", answer[0], theirs(x, y))
        compare_ends(ends, f"{name}: {what}", answer, replicates[:, i])

    slow = bootstrap.apply(lambda a, b: np.array([metrics.probability_of_improvement(a, b)]),
                           N_SLOW_REPLICATES)
    answer = ours.interval(IMPROVEMENT, DIFFERENCE, 0, [x, y])
    values.values(f"{name}: improvement", answer[0], metrics.probability_of_improvement(x, y))
    compare_ends(ends, f"{name}: improvement", answer, slow[:, 0])


def compare_percentiles(ours, name, x, count):
    np.random.seed(9)
    _, theirs = library.get_interval_estimates(
        {"x": x}, lambda s: np.array([metrics.aggregate_iqm(s)]), reps=N_REPLICATES)
    answer = ours.interval(IQM, DIFFERENCE, 0, [x])
    allowed = 0.25 * (answer[2] - answer[1]) + TOLERANCE    # ties can leave no width
    count.add(name, answer[1:], theirs["x"][:, 0],
              np.max(np.abs(theirs["x"][:, 0] - answer[1:])) / allowed)


def compare_missing(ours, values, ends):
    """Tasks with different numbers of runs: resampled from the runs there are, by NumPy."""
    rng = np.random.default_rng(3)
    for n_runs, n_tasks in [(6, 3), (9, 5)]:
        x = scores(rng, n_runs, n_tasks, False)
        x[rng.random(x.shape) < 0.3] = np.nan
        x[0] = np.where(np.isnan(x[0]), 0.1, x[0])
        tasks = [column[~np.isnan(column)] for column in x.T]
        asked = [("mean", MEAN, lambda t: np.mean([v.mean() for v in t])),
                 ("median", MEDIAN, lambda t: np.median([v.mean() for v in t])),
                 ("iqm", IQM, lambda t: scipy.stats.trim_mean(np.concatenate(t), 0.25)),
                 ("gap", GAP, lambda t: 2 - np.minimum(np.concatenate(t), 2).mean()),
                 ("above", ABOVE, lambda t: np.mean(np.concatenate(t) > 2)),
                 ("tasks above", TASKS_ABOVE, lambda t: np.mean([v.mean() > 2 for v in t]))]
        replicates = np.array([[f(draw) for *_, f in asked] for draw in (
            [rng.choice(v, len(v)) for v in tasks] for _ in range(N_SLOW_REPLICATES))])
        for i, (what, kind, theirs) in enumerate(asked):
            answer = ours.interval(kind, DIFFERENCE, 2, [x])
            values.values(f"missing: {what}", answer[0], theirs(tasks))
            compare_ends(ends, f"missing: {what}", answer, replicates[:, i])


def compare_curves(ours, count):
    rng = np.random.default_rng(4)
    for n in (1, 2, 7, 100):
        x, y = np.cumsum(rng.uniform(0.1, 1, n)), rng.normal(size=n)
        grid = np.sort(np.concatenate([rng.uniform(x[0] - 1, x[-1] + 1, 50), x]))
        inside = (grid >= x[0]) & (grid <= x[-1])
        linear = np.where(inside, np.interp(grid, x, y), np.nan)
        step = np.where(inside, y[np.searchsorted(x, grid, side="right") - 1], np.nan)
        count.values(f"{n} points, linear", ours.ask("grid", LINEAR, n, x, y, len(grid), grid), linear)
        count.values(f"{n} points, step", ours.ask("grid", STEP, n, x, y, len(grid), grid), step)
        if n < 2:
            continue
        low, high = x[0] + 0.25 * (x[-1] - x[0]), x[0] + 0.8 * (x[-1] - x[0])
        for start, stop in [(x[0], x[-1]), (low, high)]:
            at = np.concatenate([[start], x[(x > start) & (x < stop)], [stop]])
            under = np.trapezoid(np.interp(at, x, y), at)
            count.values(f"{n} points, area", ours.ask("area", LINEAR, start, stop, n, x, y), under)
            steps = np.sum(np.diff(at) * y[np.searchsorted(x, at[:-1], side="right") - 1])
            count.values(f"{n} points, steps' area", ours.ask("area", STEP, start, stop, n, x, y), steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=os.path.join(
        ROOT, "build", "release", "tests", "peers", "statistics_of"))
    ours = Ours(parser.parse_args().program)

    values, ends = Count("values"), Count("ends of intervals, by rank")
    percentiles, curves = Count("ends of intervals, by rliable's percentiles"), Count("curves")
    for name, x, y in cases():
        compare_one(ours, name, x, values, ends)
        compare_two(ours, name, x, y, values, ends)
        compare_percentiles(ours, name, x, percentiles)
    compare_missing(ours, values, ends)
    compare_curves(ours, curves)

    print("statistics")
    n_bad = sum(count.report() for count in (values, ends, percentiles, curves))
    print(f"\n{n_bad} comparisons fail" if n_bad else "\nall agree")
    sys.exit(n_bad > 0)


if __name__ == "__main__":
    main()
