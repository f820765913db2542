#!/usr/bin/env python3
"""Numbers for test_ppo_golden.c from an independent PPO on PyTorch's autograd, distributions and Adam.

    pip install torch==2.13.0 numpy
    python3 tests/golden/make_ppo_golden.py      # writes ppo_<case>.safetensors beside this script

Everything is computed in float64; parameters and rows are float32 values, so that a float program
starts from exactly the same numbers. Nothing here is derived from the C sources except the layouts
and the order of random numbers, which are:

    parameters   policy | log_sigma (head gaussian) | value, a network per layer as W[n_in][n_out], b[n_out]
                 and, of hidden layers with layer normalisation, its gain and offset [n_out]
    row          obs | action | reward | log_prob | kind    (0 step, 1 terminated, 2 truncated, 3 close)
    shuffling    before every epoch: for i = n-1 .. 1 swap i with a number below i + 1, made of two
                 words of Philox4x32-10 (Salmon et al. 2011), seed 11, stream 0, tag 5 << 24

A case is one round:

    sizes     n_obs n_act n_choices batch_size n_updates has_more n_hidden hidden... activation (0 relu,
              1 tanh, 2 silu) has_layer_norm; has_more: whether the round goes on behind the last update
    hyper     as in HYPER below
    rows      [n_rows][stride]       first     [n_fragments + 1]
    params0   the start
    metrics   [n_updates][10], as in METRICS below
    gradients params1                after the first update, gradients as they were clipped
    params_n                         after the last
"""

import math

import numpy as np
import torch
from torch.distributions import Categorical, Normal

from golden import CLOSE, STEP, TERMINATED, TRUNCATED, float32, write

SEED = 20170720
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "silu": torch.nn.functional.silu}
HYPER = {"learning_rate": 3e-3, "gamma": 0.97, "lambda": 0.9, "clip": 0.2, "value_clip": 0.0,
         "epochs": 10, "value_coef": 0.5, "entropy_coef": 0.0, "normalise": 0, "target_kl": 0.0,
         "recompute": 0, "truncation_terminates": 0, "vtrace": 0, "rho_bar": 1.0, "c_bar": 1.0,
         "state_sigma": 0, "linear": 0, "max_grad_norm": 0.0, "epsilon": 1e-5, "progress": 0.25}
METRICS = ["policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "ratio_max",
           "explained_variance", "log_sigma", "grad_norm", "learning_rate"]


# ---- random numbers ----

class Philox:
    def __init__(self, seed, stream, tag):
        self.key, self.tail, self.position = (seed & 0xFFFFFFFF, seed >> 32), (stream, tag), 0

    def word(self):
        index, lane = divmod(self.position, 4)
        c = [index & 0xFFFFFFFF, index >> 32, *self.tail]
        k = list(self.key)
        for _ in range(10):
            p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
            k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        self.position += 1
        return c[lane]

    def below(self, n):
        low = self.word()
        return (low | self.word() << 32) % n

    def shuffle(self, x):
        for i in range(len(x) - 1, 0, -1):
            j = self.below(i + 1)
            x[i], x[j] = x[j], x[i]


# ---- networks ----

class Mlp:
    def __init__(self, rng, widths, activation, has_norm):
        self.f, self.has_norm, self.layers = ACTIVATIONS[activation], has_norm, []
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:])):
            is_hidden = i + 2 < len(widths)
            draws = [rng.normal(0, 1.2 / math.sqrt(n_in), (n_in, n_out)), rng.normal(0, 0.2, n_out)]
            if has_norm and is_hidden:
                draws += [rng.normal(1, 0.2, n_out), rng.normal(0, 0.2, n_out)]
            self.layers.append([torch.tensor(float32(d), requires_grad=True) for d in draws])

    def tensors(self):
        return [t for layer in self.layers for t in layer]

    def __call__(self, x):
        for i, (w, b, *norm) in enumerate(self.layers):
            x = x @ w + b
            if norm:
                x = torch.nn.functional.layer_norm(x, x.shape[-1:], norm[0], norm[1], eps=1e-5)
            x = self.f(x) if i + 1 < len(self.layers) else x
        return x


class Agent:
    def __init__(self, rng, case):
        self.n_obs, self.n_act, self.n_choices = case["n_obs"], case["n_act"], case["n_choices"]
        h = case["hyper"]
        self.is_free = not self.n_choices and not h["state_sigma"]
        n_out = self.n_choices or (self.n_act if self.is_free else 2 * self.n_act)
        body = case["hidden"], case["activation"], case["has_norm"]
        self.policy = Mlp(rng, [self.n_obs, *body[0], n_out], *body[1:])
        self.log_sigma = torch.tensor(float32(rng.normal(-0.5, 0.2, self.n_act)), requires_grad=True)
        self.value_net = Mlp(rng, [self.n_obs, *body[0], 1], *body[1:])
        if not self.n_choices and not self.is_free:
            with torch.no_grad():
                self.policy.layers[-1][1][self.n_act:] -= 0.5
                self.policy.layers[-1][1].copy_(torch.tensor(float32(self.policy.layers[-1][1])))

    def tensors(self):
        free = [self.log_sigma] if self.is_free else []
        return [*self.policy.tensors(), *free, *self.value_net.tensors()]

    def params(self):
        return np.concatenate([t.detach().numpy().ravel() for t in self.tensors()])

    def distribution(self, obs):
        out = self.policy(obs)
        if self.n_choices:
            return Categorical(logits=out)
        if self.is_free:
            return Normal(out, self.log_sigma.exp().expand_as(out))
        mean, log_sigma = out.chunk(2, dim=-1)
        return Normal(mean, log_sigma.exp())

    def log_prob(self, d, action):
        return d.log_prob(action.squeeze(1)) if self.n_choices else d.log_prob(action).sum(1)

    def entropy(self, d):
        return d.entropy() if self.n_choices else d.entropy().sum(1)

    def value(self, obs):
        return self.value_net(obs).squeeze(1)


# ---- rows ----

def make_rows(rng, agent, fragments):
    """`fragments`: one string of kinds each, s t u for step, terminated, truncated."""
    kinds, first = [], [0]
    for text in fragments:
        for i, c in enumerate(text):
            kinds.append({"s": STEP, "t": TERMINATED, "u": TRUNCATED}[c])
            if c != "s" or i + 1 == len(text):
                kinds.append(CLOSE)
        first.append(len(kinds))
    kinds = np.array(kinds)
    n = len(kinds)
    obs = torch.tensor(float32(rng.normal(0, 1, (n, agent.n_obs))))
    with torch.no_grad():
        d = agent.distribution(obs)
        if agent.n_choices:
            action = torch.tensor(rng.integers(0, agent.n_choices, (n, 1)).astype(np.float64))
        else:
            action = torch.tensor(float32(d.mean + d.stddev * torch.tensor(rng.normal(0, 1, d.mean.shape))))
        log_prob = agent.log_prob(d, action).numpy() + rng.normal(0, 0.25, n)
    rows = np.column_stack([obs, action, rng.normal(0.3, 1, n), log_prob, kinds])
    rows[kinds == CLOSE, agent.n_obs:-1] = 0
    return float32(rows), first


def estimate(agent, rows, h):
    """V, A and R of every row, from the sums over the rest of each episode."""
    obs, action = torch.tensor(rows[:, :agent.n_obs]), torch.tensor(rows[:, agent.n_obs:-3])
    reward, log_mu, kind = rows[:, -3], rows[:, -2], rows[:, -1]
    with torch.no_grad():
        value = agent.value(obs).numpy()
        ratio = np.exp(agent.log_prob(agent.distribution(obs), action).numpy() - log_mu)
    advantage, target = np.zeros(len(rows)), np.zeros(len(rows))
    g = h["gamma"]
    begin = 0
    for close in np.flatnonzero(kind == CLOSE):
        steps = range(begin, close)
        last = kind[close - 1]
        bootstrap = not (last == TERMINATED or (last == TRUNCATED and h["truncation_terminates"]))
        next_value = {t: value[t + 1] for t in steps}
        if not bootstrap:
            next_value[close - 1] = 0.0
        delta = {t: reward[t] + g * next_value[t] - value[t] for t in steps}
        for s in steps:
            if h["vtrace"]:     # Espeholt et al. 2018, Eq. 1, with lambda in c
                total = 0.0
                for t in range(s, close):
                    traces = [h["lambda"] * min(h["c_bar"], ratio[i]) for i in range(s, t)]
                    total += g ** (t - s) * math.prod(traces) * min(h["rho_bar"], ratio[t]) * delta[t]
                target[s] = value[s] + total
            else:
                advantage[s] = sum((g * h["lambda"]) ** (t - s) * delta[t] for t in range(s, close))
                target[s] = advantage[s] + value[s]
        if h["vtrace"]:         # without rho, which the surrogate's ratio stands for
            for s in steps:
                v_next = target[s + 1] if s + 1 < close else next_value[s]
                advantage[s] = reward[s] + g * v_next - value[s]
        begin = close + 1
    return value, advantage, target


# ---- PPO, as CleanRL writes it ----

def minibatches(n, size):
    """Slices of an epoch; a last one of a single transition joins the one before."""
    starts = list(range(0, n, size))
    if n % size == 1 and size > 1 and len(starts) > 1:
        starts.pop()
    return list(zip(starts, starts[1:] + [n]))


def far(x, bound, margin=1e-5):
    """Decisions must not hang on rounding."""
    assert np.abs(np.asarray(x) - bound).min() > margin, "choose another seed"


def surrogate(agent, rows, index, estimates, h):
    """The loss of a minibatch and its metrics."""
    old_value, advantage, target = (torch.tensor(e[index]) for e in estimates)
    mb = torch.tensor(rows[index])
    d = agent.distribution(mb[:, :agent.n_obs])
    log_ratio = agent.log_prob(d, mb[:, agent.n_obs:-3]) - mb[:, -2]
    ratio = log_ratio.exp()
    far(ratio.detach(), 1 + h["clip"])
    far(ratio.detach(), 1 - h["clip"])
    if h["normalise"]:
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    pg_loss = torch.max(-advantage * ratio,
                        -advantage * torch.clamp(ratio, 1 - h["clip"], 1 + h["clip"])).mean()
    value = agent.value(mb[:, :agent.n_obs])
    v_loss = (value - target) ** 2
    clipped_values = 0
    if h["value_clip"]:
        step = torch.clamp(value - old_value, -h["value_clip"], h["value_clip"])
        far((value - old_value).abs().detach(), h["value_clip"], 1e-6)
        v_clipped = (old_value + step - target) ** 2
        clipped_values = int((v_clipped > v_loss + 1e-12).sum())
        v_loss = torch.max(v_loss, v_clipped)
    v_loss = 0.5 * v_loss.mean()
    entropy = agent.entropy(d).mean()
    loss = pg_loss - h["entropy_coef"] * entropy + h["value_coef"] * v_loss
    with torch.no_grad():
        kl = ((ratio - 1) - log_ratio).mean().item()
        outside = ((ratio - 1).abs() > h["clip"]).double().mean().item()
        log_sigma = 0.0 if agent.n_choices else d.stddev.log().mean().item()
    return loss, [pg_loss.item(), v_loss.item(), entropy.item(), kl, outside, ratio.max().item(),
                  log_sigma], clipped_values


def explained_variance(estimates, transitions):
    value, _, target = (e[transitions] for e in estimates)
    return 1 - np.var(target - value) / np.var(target)


def make_case(name, seed, n_updates, batch_size, has_more, n_choices=0, activation="tanh",
              has_norm=False, hyper=None):
    h = {**HYPER, **(hyper or {})}
    case = {"n_obs": 5, "n_act": 1 if n_choices else 2, "n_choices": n_choices, "hidden": [12, 10],
            "activation": activation, "has_norm": has_norm, "hyper": h}
    rng = np.random.default_rng([SEED, seed])
    agent = Agent(rng, case)
    # 49 transitions: an end inside a fragment and one at its end, of either kind; a fragment cut off.
    rows, first = make_rows(rng, agent, ["ssssstssssusssssss", "sssssssssu", "ssst", "sssstusssssssssss"])
    transitions = np.flatnonzero(rows[:, -1] != CLOSE)
    assert len(transitions) == 49
    lr = h["learning_rate"] * (1 - h["progress"] if h["linear"] else 1)
    adam = torch.optim.Adam(agent.tensors(), lr=lr, eps=h["epsilon"])
    philox, order = Philox(11, 0, 5 << 24), list(transitions)
    out = {"sizes": [case["n_obs"], case["n_act"], n_choices, batch_size, n_updates, int(has_more), 2,
                     *case["hidden"], list(ACTIVATIONS).index(activation), int(has_norm)],
           "hyper": list(h.values()), "rows": rows, "first": first, "params0": agent.params()}
    metrics, clipped_values, stopped = [], 0, False
    estimates = estimate(agent, rows, h)
    variance = explained_variance(estimates, transitions)
    for epoch in range(h["epochs"]):
        if epoch and h["recompute"]:
            estimates = estimate(agent, rows, h)
            variance = explained_variance(estimates, transitions)
        philox.shuffle(order)
        for begin, end in minibatches(len(order), batch_size):
            if len(metrics) == n_updates or stopped:
                break
            loss, m, n_clipped = surrogate(agent, rows, order[begin:end], estimates, h)
            clipped_values += n_clipped
            norm = 0.0
            stopped = h["target_kl"] > 0 and m[3] > 1.5 * h["target_kl"]
            if not stopped:
                adam.zero_grad()
                loss.backward()
                limit = h["max_grad_norm"] or math.inf
                norm = torch.nn.utils.clip_grad_norm_(agent.tensors(), limit).item()
                adam.step()
            metrics.append([*m[:6], variance, m[6], norm, lr])
            if len(metrics) == 1:
                out.update(gradients=np.concatenate([t.grad.numpy().ravel() for t in agent.tensors()]),
                           params1=agent.params())
    assert len(metrics) == n_updates, (len(metrics), [m[3] for m in metrics])
    total = h["epochs"] * len(minibatches(len(order), batch_size))
    assert has_more == (not stopped and n_updates < total), (stopped, total)
    assert not h["value_clip"] or clipped_values > 20, clipped_values
    print(f"{name}: KL {[round(m[3], 4) for m in metrics]}, clipped {[round(m[4], 2) for m in metrics]}, "
          f"norms {[round(m[8], 2) for m in metrics]}, clipped values {clipped_values}")
    out.update(metrics=metrics, params_n=agent.params())
    write(f"ppo_{name}", out, seed=SEED, torch=torch.__version__)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    full = {"value_clip": 0.02, "entropy_coef": 0.01, "normalise": 1, "max_grad_norm": 0.5}
    make_case("gaussian", 1, 10, 16, True, hyper={**full, "epochs": 4, "linear": 1})
    make_case("state", 2, 10, 64, False, activation="silu", has_norm=True,
              hyper={"state_sigma": 1, "entropy_coef": 0.003})
    make_case("categorical", 3, 10, 12, True, n_choices=4, activation="relu",
              hyper={**full, "epochs": 3})
    make_case("vtrace", 4, 10, 16, True,
              hyper={"vtrace": 1, "epochs": 5, "rho_bar": 1.1, "c_bar": 0.95, "max_grad_norm": 0.5})
    make_case("recompute", 5, 10, 16, True,
              hyper={**full, "epochs": 4, "recompute": 1, "truncation_terminates": 1})
    make_case("vtrace_recompute", 6, 10, 24, False, n_choices=3,
              hyper={"vtrace": 1, "epochs": 5, "recompute": 1, "normalise": 1})
    make_case("kl", 7, 4, 16, False, hyper={**full, "target_kl": 0.04})


if __name__ == "__main__":
    main()
