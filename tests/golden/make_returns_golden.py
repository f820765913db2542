#!/usr/bin/env python3
"""Numbers for test_returns_golden.c: returns and advantages by their definitions, in float64.

    pip install numpy
    python3 tests/golden/make_returns_golden.py    # writes returns.safetensors beside this script

Nothing here walks rows and nothing recurs: fragments are lists of segments (what lies between two cuts of
the trace), and every number is the sum that the paper writes.

    GAE       A_t = sum_l (gamma lambda)^l delta_{t+l}                    Schulman et al. 2016, Eq. 16
    V-trace   v_s = V(s) + sum_t gamma^(t-s) (prod_{s<=i<t} c_i) delta_t  Espeholt et al. 2018, Eq. 1

    sizes              n_obs n_act n_rows n_fragments n_transitions
    rows               [n_rows][n_obs + n_act + 3]: obs | action | reward | log_prob | kind
    first              [n_fragments + 1] each fragment's first row; then n_rows
    value, log_ratio   [n_rows]
    gae_cases          [n][3] gamma lambda truncation_terminates
    gae_advantage, gae_target         [n][n_rows]
    explained          [n] explained variance of `value` for these targets
    vtrace_cases       [n][4] gamma lambda rho_bar c_bar
    vtrace_advantage, vtrace_target   [n][n_rows]
"""

import itertools

import numpy as np

from golden import CLOSE, STEP, TERMINATED, TRUNCATED, float32, write

SEED = 20180205

# Fragments as (length, how the segment ends); STEP: the fragment ends inside an episode.
FRAGMENTS = [
    [(9, STEP)],
    [(1, STEP)],
    [(1, TERMINATED)],
    [(1, TRUNCATED)],
    [(6, TERMINATED)],
    [(6, TRUNCATED)],
    [(3, TERMINATED), (4, TRUNCATED), (5, STEP)],
    [(1, TRUNCATED), (1, TERMINATED), (1, TERMINATED), (2, TRUNCATED), (1, STEP)],
    [(2, TRUNCATED), (7, TERMINATED)],
]


class Segment:
    def __init__(self, rng, n, ending):
        self.n, self.ending = n, ending
        self.reward = float32(rng.normal(0.5, 2, n))
        self.log_ratio = float32(rng.normal(0, 0.7, n))
        self.value = float32(rng.normal(3, 5, n + 1))    # of s_0 ... s_n

    def deltas(self, gamma, bootstraps):
        """delta_t = r_t + gamma V(s_{t+1}) - V(s_t); V = 0 behind a last state that has no future."""
        v = self.value.copy()
        if not bootstraps:
            v[-1] = 0
        return self.reward + gamma * v[1:] - v[:-1], v

    def gae(self, gamma, lam, truncation_terminates):
        ends = [TERMINATED] + [TRUNCATED] * truncation_terminates
        delta, _ = self.deltas(gamma, self.ending not in ends)
        adv = np.array([sum((gamma * lam) ** l * delta[t + l] for l in range(self.n - t))
                        for t in range(self.n)])
        return adv, adv + self.value[:-1]

    def vtrace(self, gamma, lam, rho_bar, c_bar):
        ratio = np.exp(self.log_ratio)
        rho, c = np.minimum(rho_bar, ratio), lam * np.minimum(c_bar, ratio)
        delta, v = self.deltas(gamma, self.ending != TERMINATED)
        target = [v[s] + sum(gamma ** (t - s) * np.prod(c[s:t]) * rho[t] * delta[t]
                             for t in range(s, self.n)) for s in range(self.n)] + [v[-1]]
        target = np.array(target)
        return rho * (self.reward + gamma * target[1:] - v[:-1]), target[:-1]


def check(segment):
    """GAE is also the exponentially weighted mean of the k-step advantages (its Eqs. 11 to 16)."""
    gamma, lam, n = 0.9, 0.8, segment.n
    _, v = segment.deltas(gamma, segment.ending != TERMINATED)
    steps = [sum(gamma ** i * segment.reward[i] for i in range(k)) + gamma ** k * v[k] - v[0]
             for k in range(1, n + 1)]
    mean = sum((1 - lam) * lam ** (k - 1) * steps[k - 1] for k in range(1, n)) + lam ** (n - 1) * steps[-1]
    np.testing.assert_allclose(segment.gae(gamma, lam, False)[0][0], mean, rtol=1e-12, atol=1e-12)


def main():
    rng = np.random.default_rng(SEED)
    n_obs, n_act = 2, 1
    stride = n_obs + n_act + 3
    fragments = [[Segment(rng, n, ending) for n, ending in f] for f in FRAGMENTS]
    segments = [s for f in fragments for s in f]
    for s in segments:
        check(s)

    def spread(of):
        """[n_rows]: a number per transition of each segment, then 0 for its CLOSE row."""
        return np.concatenate([np.append(of(s), 0.0) for s in segments])

    n_rows = sum(s.n + 1 for s in segments)
    n_transitions = sum(s.n for s in segments)
    kind = np.concatenate([[STEP] * (s.n - 1) + [s.ending, CLOSE] for s in segments])
    rows = np.zeros((n_rows, stride))
    rows[:, :n_obs] = float32(rng.normal(size=(n_rows, n_obs)))
    rows[:, n_obs] = spread(lambda s: float32(rng.normal(size=s.n)))
    rows[:, n_obs + n_act] = spread(lambda s: s.reward)
    rows[:, stride - 1] = kind
    first = np.cumsum([0] + [sum(s.n + 1 for s in f) for f in fragments])

    def spread_pairs(of):
        pairs = [of(s) for s in segments]
        return [np.concatenate([np.append(p[k], 0.0) for p in pairs]) for k in range(2)]

    gae_cases = list(itertools.product([0, 0.9, 0.99, 1], [0, 0.5, 0.95, 1], [False, True]))
    gae = [spread_pairs(lambda s: s.gae(*c)) for c in gae_cases]
    vtrace_cases = [(g, l, *bars) for g, l, bars in itertools.product(
        [0, 0.99, 1], [0, 0.9, 1], [(1, 1), (0.6, 1.4), (100, 100)])]
    vtrace = [spread_pairs(lambda s: s.vtrace(*c)) for c in vtrace_cases]

    is_transition = kind != CLOSE
    value = np.concatenate([s.value for s in segments])
    explained = [1 - np.var((g[1] - value)[is_transition]) / np.var(g[1][is_transition]) for g in gae]
    write("returns", {
        "sizes": [n_obs, n_act, n_rows, len(fragments), n_transitions],
        "rows": rows, "first": first, "value": value, "log_ratio": spread(lambda s: s.log_ratio),
        "gae_cases": np.array(gae_cases, dtype=float),
        "gae_advantage": [g[0] for g in gae], "gae_target": [g[1] for g in gae],
        "explained": explained,
        "vtrace_cases": vtrace_cases,
        "vtrace_advantage": [v[0] for v in vtrace], "vtrace_target": [v[1] for v in vtrace],
    }, seed=SEED)


if __name__ == "__main__":
    main()
