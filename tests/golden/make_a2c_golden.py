#!/usr/bin/env python3
"""Numbers for test_a2c_golden.c from an independent A2C on PyTorch's autograd.

    pip install torch==2.13.0 numpy
    python3 tests/golden/make_a2c_golden.py      # writes a2c_<case>.safetensors beside this script

Everything is computed in float64; parameters and rows are float32 values, so that a float program starts
from exactly the same numbers. Nothing here is derived from the C sources except the layouts:

    parameters   policy | log sigma (gaussian) | value, a network per layer as W[n_in][n_out], then b[n_out]
    row          obs | action | reward | log_prob | kind
                 (kind: 0 step, 1 terminated, 2 truncated, 3 close)

Returns are the papers' sums, not their recursions; gradients of whole losses come from autograd; the
optimisers are PyTorch's Adam and, as TensorFlow has it, RMSProp with epsilon inside the root and a mean
square that starts from 1. A case holds ten steps:

    sizes      n_obs n_act n_choices n_hidden hidden...  activation (0 relu, 1 tanh)
               form normalise vtrace truncation_terminates log_sigma value_epochs optimiser schedule
               n_rounds n_fragments (of a round), choices as indices
    hyper      learning_rate gamma lambda value_coef entropy_coef rho_bar c_bar epsilon max_grad_norm
    params0    the start
    rows       [all rows][stride]      first [n_rounds * n_fragments + 1]: where fragments begin
    metrics    [10][9]: policy_loss value_loss entropy explained_variance advantage_std grad_norm
               learning_rate rho_mean rho_clipped
    gradients params1       of the first step, clipped, and after it
    params10                after the last
"""

import math

import numpy as np
import torch
from torch.distributions import Categorical, Independent, Normal

from golden import CLOSE, STEP, TERMINATED, TRUNCATED, float32, write

SEED = 20160204
DEFAULTS = {"form": "nstep", "normalise": "none", "vtrace": False, "truncation_terminates": False,
            "log_sigma": "independent", "value_epochs": 0, "optimiser": "rmsprop_tf",
            "schedule": "constant", "learning_rate": 7e-4, "gamma": 0.9, "lambda": 1.0,
            "value_coef": 0.5, "entropy_coef": 0.0, "rho_bar": 1.0, "c_bar": 1.0, "epsilon": 1e-5,
            "max_grad_norm": 0.5}
CHOICES = {"form": ["nstep", "episodes", "online"], "normalise": ["none", "round"],
           "log_sigma": ["independent", "state"], "schedule": ["constant", "linear", "cosine"],
           "optimiser": ["adam", "adamw", "rmsprop", "rmsprop_tf"]}


# ---- networks and optimiser ----

class Mlp:
    def __init__(self, rng, widths, activation, last_scale):
        self.f = {"relu": torch.relu, "tanh": torch.tanh}[activation]
        self.tensors = []
        for n_in, n_out in zip(widths, widths[1:]):
            scale = (last_scale if n_out == widths[-1] else 1.5) / math.sqrt(n_in)
            for shape in ((n_in, n_out), (n_out,)):
                value = float32(rng.normal(0, scale, shape))
                self.tensors.append(torch.tensor(value, requires_grad=True))

    def __call__(self, x):
        n_layers = len(self.tensors) // 2
        for i in range(n_layers):
            x = x @ self.tensors[2 * i] + self.tensors[2 * i + 1]
            x = self.f(x) if i + 1 < n_layers else x
        return x


class RmsPropTf:
    """s <- a s + (1 - a) g^2 from s = 1;  theta <- theta - lr g / sqrt(s + eps)"""

    def __init__(self, tensors, epsilon):
        self.tensors, self.epsilon = tensors, epsilon
        self.square = [torch.ones_like(t) for t in tensors]

    def step(self, lr):
        with torch.no_grad():
            for t, s in zip(self.tensors, self.square):
                s.mul_(0.99).add_(0.01 * t.grad ** 2)
                t.sub_(lr * t.grad / torch.sqrt(s + self.epsilon))


class Adam:
    def __init__(self, tensors, epsilon):
        self.adam = torch.optim.Adam(tensors, eps=epsilon)

    def step(self, lr):
        self.adam.param_groups[0]["lr"] = lr
        self.adam.step()


# ---- the algorithm ----

def chains(kinds):
    """Runs of transitions of one episode that follow each other: lists of row numbers."""
    runs, run = [], []
    for t, kind in enumerate(kinds):
        if kind == CLOSE:
            runs.append(run)
            run = []
        else:
            run.append(t)
    assert not run
    return runs


class A2c:
    def __init__(self, rng, n_obs, n_act, n_choices, hidden, activation, h):
        self.h, self.n_obs, self.n_act, self.n_choices = h, n_obs, n_act, n_choices
        n_out = n_choices or (2 * n_act if h["log_sigma"] == "state" else n_act)
        self.policy = Mlp(rng, [n_obs, *hidden, n_out], activation, 0.8)
        self.value = Mlp(rng, [n_obs, *hidden, 1], activation, 1.2)
        self.free = []
        if not n_choices and h["log_sigma"] == "independent":
            self.free = [torch.tensor(float32(rng.normal(-0.4, 0.2, n_act)), requires_grad=True)]
        kind = {"adam": Adam, "rmsprop_tf": RmsPropTf}[h["optimiser"]]
        self.optimiser = kind(self.trained(), h["epsilon"])
        self.value_optimiser = kind(self.value.tensors, h["epsilon"])

    def trained(self):
        return [*self.policy.tensors, *self.free, *self.value.tensors]

    def flat(self, of=lambda t: t.detach()):
        return np.concatenate([of(t).numpy().ravel() for t in self.trained()])

    def distribution(self, obs):
        out = self.policy(obs)
        if self.n_choices:
            return Categorical(logits=out)
        if self.free:
            return Independent(Normal(out, torch.exp(self.free[0]).expand_as(out)), 1)
        mu, log_sigma = out.chunk(2, dim=-1)
        return Independent(Normal(mu, torch.exp(log_sigma)), 1)

    def actions(self, rows):
        act = rows[:, self.n_obs:self.n_obs + self.n_act]
        return act.squeeze(1).round() if self.n_choices else act

    def estimate(self, rows, logp):
        """A and R of each row; 0 at CLOSE."""
        h = self.h
        with torch.no_grad():
            v = self.value(rows[:, :self.n_obs]).squeeze(1)
            rew, mu, kinds = rows[:, -3], rows[:, -2], rows[:, -1]
            ends = (kinds == TERMINATED) | ((kinds == TRUNCATED) if h["truncation_terminates"]
                                            else torch.zeros_like(kinds, dtype=torch.bool))
            advantage, target = torch.zeros_like(v), torch.zeros_like(v)
            ratio = torch.exp(logp.detach() - mu)
            rho, c = ratio.clamp(max=h["rho_bar"]), h["lambda"] * ratio.clamp(max=h["c_bar"])
            for run in chains(kinds.tolist()):
                nxt = {t: torch.zeros(()) if ends[t] else v[t + 1] for t in run}
                delta = {t: rew[t] + h["gamma"] * nxt[t] - v[t] for t in run}
                if not h["vtrace"]:
                    for t in run:
                        advantage[t] = sum((h["gamma"] * h["lambda"]) ** (s - t) * delta[s]
                                           for s in run if s >= t)
                        target[t] = advantage[t] + v[t]
                    continue
                for t in run:    # v_s = V(s) + sum gamma^(t-s) (prod c_i) delta_t
                    target[t] = v[t] + sum(h["gamma"] ** (s - t) * torch.prod(c[t:s])
                                           * rho[s] * delta[s] for s in run if s >= t)
                for t in run:
                    after = target[t + 1] if t + 1 in run else nxt[t]
                    advantage[t] = rho[t] * (rew[t] + h["gamma"] * after - v[t])
        return advantage, target, ratio

    def step(self, rows, progress):
        h = self.h
        keep = rows[:, -1] != CLOSE
        lr = h["learning_rate"] * (1 - progress if h["schedule"] == "linear" else 1)
        for _ in range(h["value_epochs"]):
            logp = self.distribution(rows[:, :self.n_obs]).log_prob(self.actions(rows))
            target = self.estimate(rows, logp)[1]
            loss = torch.nn.functional.mse_loss(self.value(rows[:, :self.n_obs]).squeeze(1)[keep],
                                                target[keep])
            self.zero_grad()
            (h["value_coef"] * 0.5 * loss).backward()
            self.clip(self.value.tensors)
            self.value_optimiser.step(lr)

        pi = self.distribution(rows[:, :self.n_obs])
        logp = pi.log_prob(self.actions(rows))
        advantage, target, ratio = self.estimate(rows, logp)
        v = self.value(rows[:, :self.n_obs]).squeeze(1)[keep]
        advantage, target, ratio = advantage[keep], target[keep], ratio[keep]
        std = advantage.std().item() if len(advantage) > 1 else 0.0
        if h["normalise"] == "round":
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        policy_loss = -(advantage * logp[keep]).mean()
        value_loss = 0.5 * torch.nn.functional.mse_loss(v, target)
        entropy = pi.entropy()[keep].mean()
        self.zero_grad()
        (policy_loss + h["value_coef"] * value_loss - h["entropy_coef"] * entropy).backward()
        norm = self.clip(self.trained())
        gradients = self.flat(lambda t: t.grad.clone())
        self.optimiser.step(lr)
        explained = (1 - (target - v).var() / target.var()).item() if len(v) > 1 else 0.0
        return [policy_loss.item(), value_loss.item(), entropy.item(), explained, std, norm, lr,
                ratio.clamp(max=h["rho_bar"]).mean().item(),
                (ratio > 1.001 * h["rho_bar"]).double().mean().item()], gradients

    def zero_grad(self):
        for t in self.trained():
            t.grad = torch.zeros_like(t)

    def clip(self, tensors):
        limit = self.h["max_grad_norm"] or math.inf
        return torch.nn.utils.clip_grad_norm_(tensors, limit).item()


# ---- rows ----

def draw_fragment(rng, a2c, kinds, stale):
    """Rows of transitions of these kinds, acted by the policy or, `stale`, by one that lies beside it."""
    n_obs, n_act, rows = a2c.n_obs, a2c.n_act, []
    for i, kind in enumerate(kinds):
        row = np.zeros(n_obs + n_act + 3)
        row[:n_obs] = float32(rng.normal(0, 1, n_obs))
        with torch.no_grad():
            pi = a2c.distribution(torch.tensor(row[None, :n_obs]))
            torch.manual_seed(int(rng.integers(1 << 30)))
            row[n_obs:n_obs + n_act] = float32(pi.sample().numpy().ravel())
            logp = pi.log_prob(a2c.actions(torch.tensor(row[None]))).item()
        row[-3] = rng.normal(0.3, 1)
        row[-2] = logp + stale * rng.normal(0, 1)
        row[-1] = kind
        rows.append(float32(row))
        if kind != STEP or i + 1 == len(kinds):
            rows.append(float32(np.concatenate([rng.normal(0, 1, n_obs), np.zeros(n_act + 2), [CLOSE]])))
    return rows


def make_case(name, seed, activation, n_act, n_choices, fragments, n_rounds, hyper, stale=0.0):
    n_obs, hidden, h = 4, [12, 9], {**DEFAULTS, **hyper}
    rng = np.random.default_rng([SEED, seed])
    a2c = A2c(rng, n_obs, n_act, n_choices, hidden, activation, h)
    out = {"sizes": [n_obs, n_act, n_choices, len(hidden), *hidden, ["relu", "tanh"].index(activation),
                     *[CHOICES[k].index(h[k]) if k in CHOICES else int(h[k])
                       for k in ("form", "normalise", "vtrace", "truncation_terminates", "log_sigma",
                                 "value_epochs", "optimiser", "schedule")], n_rounds, len(fragments)],
           "hyper": [h[k] for k in ("learning_rate", "gamma", "lambda", "value_coef", "entropy_coef",
                                    "rho_bar", "c_bar", "epsilon", "max_grad_norm")],
           "params0": a2c.flat()}
    rows, first, metrics = [], [0], []
    for i in range(n_rounds):
        shapes = [[rng.choice([STEP, TERMINATED, TRUNCATED])] if h["form"] == "online"
                  else rng.permutation(kinds) if h["form"] == "nstep" else kinds for kinds in fragments]
        drawn = [draw_fragment(rng, a2c, kinds, stale) for kinds in shapes]
        for fragment in drawn:
            rows += fragment
            first.append(len(rows))
        for part in drawn if h["form"] == "online" else [sum(drawn, [])]:
            m, gradients = a2c.step(torch.tensor(np.array(part)), i / n_rounds)
            metrics.append(m)
            if len(metrics) == 1:
                out.update(gradients=gradients, params1=a2c.flat())
    assert len(metrics) == 10
    norms = [m[5] for m in metrics]
    print(f"{name}: gradient norms {min(norms):.3g} to {max(norms):.3g}, rho clipped "
          f"{np.mean([m[8] for m in metrics]):.2f}, way {np.linalg.norm(a2c.flat() - out['params0']):.3g}")
    if h["max_grad_norm"]:
        assert max(norms) > h["max_grad_norm"]
    out.update(rows=np.array(rows), first=first, metrics=metrics, params10=a2c.flat())
    write(f"a2c_{name}", out, seed=SEED, torch=torch.__version__)


S, E, C = STEP, TERMINATED, TRUNCATED
make_case("gaussian", 1, "tanh", 2, 0, [[S, S, C, S, E, S, S], [S, S, S, S, S], [E, S, C]], 10,
          {"lambda": 0.95, "entropy_coef": 0.02, "normalise": "round", "schedule": "linear",
           "learning_rate": 3e-2}, stale=0.3)
make_case("categorical", 2, "relu", 1, 3, [[S, S, C, S, E], [S, S, S, S, S], [S, S, S, S, C]], 10,
          {"entropy_coef": 0.05, "truncation_terminates": True, "learning_rate": 5e-2}, stale=0.3)
make_case("vtrace", 3, "tanh", 2, 0, [[S, S, C, S, E, S, S], [S, S, S, S, S, S]], 10,
          {"vtrace": True, "lambda": 0.9, "rho_bar": 1.3, "c_bar": 0.9, "log_sigma": "state",
           "entropy_coef": 0.01, "epsilon": 0.1, "max_grad_norm": 0, "learning_rate": 5e-3}, stale=0.6)
make_case("episodes", 4, "tanh", 1, 2, [[S, S, S, S, E, S, S, C], [S, S, E], [S, S, S, S, S, S]], 10,
          {"form": "episodes", "value_epochs": 3, "optimiser": "adam", "normalise": "round",
           "learning_rate": 2e-3}, stale=0.3)
make_case("online", 5, "tanh", 2, 0, [[S], [S]], 5,
          {"form": "online", "entropy_coef": 0.01, "learning_rate": 3e-2}, stale=0.3)
