#!/usr/bin/env python3
"""Numbers for test_sac_golden.c from an independent SAC on PyTorch's autograd and Adam.

    pip install torch==2.13.0 numpy
    python3 tests/golden/make_sac_golden.py      # writes sac_<case>.safetensors beside this script

Everything is computed in float64; parameters, rows and noise are float32 values, so that a float
program starts from exactly the same numbers. Nothing here is derived from the C sources except the
layouts, which are:

    parameters   policy | q1 | q2 | log alpha, a network per layer as W[n_in][n_out], then b[n_out]
    row          obs | action | reward | log_prob | kind
                 (kind: 0 step, 1 terminated, 2 truncated, 3 close)
    noise        [B][2][n_act]: for the next action, then for the policy's

sac_relu and sac_tanh hold, for ten updates in a row:

    sizes     n_obs n_act B n_updates n_hidden hidden...  activation (0 relu, 1 tanh)
    hyper     gamma tau policy_lr q_lr alpha_lr target_entropy (per action dimension)
    params0 targets0                  the start
    rows      [n_updates][B * 2][stride]         noise     [n_updates][B * 2][n_act]
    metrics   [n_updates][6]: q_loss pi_loss alpha_loss alpha entropy q_mean
    gradients params1 targets1        after the first update
    params10 targets10                after the last

sac_parts holds the squashed Gaussian, Adam and Polyak averaging on their own.
"""

import math

import numpy as np
import torch
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import AffineTransform, TanhTransform

from golden import STEP, TERMINATED, TRUNCATED, draw_rows, float32, write

SEED = 20180104


# ---- SAC ----

class Mlp:
    def __init__(self, widths, activation):
        self.f = {"relu": torch.relu, "tanh": torch.tanh}[activation]
        self.widths = widths
        self.tensors = []

    def init(self, rng):
        for n_in, n_out in zip(self.widths, self.widths[1:]):
            bound = 1 / math.sqrt(n_in)
            for shape in ((n_in, n_out), (n_out,)):
                value = float32(rng.uniform(-bound, bound, shape))
                self.tensors.append(torch.tensor(value, requires_grad=True))
        return self

    def copy(self):
        other = Mlp(self.widths, "relu")
        other.f = self.f
        other.tensors = [t.detach().clone() for t in self.tensors]
        return other

    def __call__(self, x):
        n_layers = len(self.tensors) // 2
        for i in range(n_layers):
            x = x @ self.tensors[2 * i] + self.tensors[2 * i + 1]
            x = self.f(x) if i + 1 < n_layers else x
        return x


def sample(out, eps):
    """A reparameterised action of the squashed Gaussian and its log-probability."""
    mu, raw = out.chunk(2, dim=-1)
    sigma = torch.exp(torch.clamp(raw, -20, 2))
    # Caches give log_prob exact inverses where tanh saturates or sigma vanishes beside mu.
    steps = [AffineTransform(mu, sigma, cache_size=1), TanhTransform(cache_size=1)]
    standard = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    act = steps[1](steps[0](eps))
    return act, TransformedDistribution(standard, steps).log_prob(act)


class Sac:
    def __init__(self, rng, n_obs, n_act, hidden, activation, hyper, log_sigma):
        self.hyper = hyper
        self.n_act = n_act
        self.policy = Mlp([n_obs, *hidden, 2 * n_act], activation).init(rng)
        # Give log sigma the mean and the spread asked for, over states like those to come.
        mean, spread = log_sigma
        with torch.no_grad():
            raw = self.policy(torch.tensor(rng.normal(0, 1, (1000, n_obs))))[:, n_act:]
            weight, bias = (t[..., n_act:] for t in self.policy.tensors[-2:])
            scale = spread / raw.std(dim=0)
            bias.copy_(torch.tensor(float32((bias - raw.mean(dim=0)) * scale + mean)))
            weight.copy_(torch.tensor(float32(weight * scale)))
        self.q = [Mlp([n_obs + n_act, *hidden, 1], activation).init(rng) for _ in range(2)]
        self.q_target = [q.copy() for q in self.q]
        for q in self.q_target:    # targets that lag, so that mixing them up shows
            for t in q.tensors:
                t += torch.tensor(float32(rng.normal(0, 0.05, t.shape)))
                t.copy_(torch.tensor(float32(t)))
        self.log_alpha = torch.tensor(float32(-0.7), requires_grad=True)
        adam = torch.optim.Adam
        self.q_adam = adam([t for q in self.q for t in q.tensors], lr=hyper["q_lr"])
        self.policy_adam = adam(self.policy.tensors, lr=hyper["policy_lr"])
        self.alpha_adam = adam([self.log_alpha], lr=hyper["alpha_lr"])

    def trained(self):
        return [*self.policy.tensors, *self.q[0].tensors, *self.q[1].tensors, self.log_alpha]

    def params(self):
        return np.concatenate([t.detach().numpy().ravel() for t in self.trained()])

    def targets(self):
        return np.concatenate([t.numpy().ravel() for q in self.q_target for t in q.tensors])

    def update(self, batch, eps_next, eps):
        obs, act, rew, next_obs, terminated = batch
        h = self.hyper
        alpha = self.log_alpha.detach().exp()

        with torch.no_grad():
            next_act, next_logp = sample(self.policy(next_obs), eps_next)
            x = torch.cat([next_obs, next_act], dim=1)
            next_q = torch.minimum(self.q_target[0](x), self.q_target[1](x)).squeeze(1)
            y = rew + h["gamma"] * (1 - terminated) * (next_q - alpha * next_logp)
        x = torch.cat([obs, act], dim=1)
        values = [q(x).squeeze(1) for q in self.q]
        q_loss = sum(0.5 * torch.mean((q - y) ** 2) for q in values)
        q_mean = 0.5 * (values[0].mean() + values[1].mean())
        self.q_adam.zero_grad()
        q_loss.backward()
        grad_q = [t.grad.clone() for q in self.q for t in q.tensors]
        self.q_adam.step()

        new_act, logp = sample(self.policy(obs), eps)
        x = torch.cat([obs, new_act], dim=1)
        q = torch.minimum(self.q[0](x), self.q[1](x)).squeeze(1)
        pi_loss = torch.mean(alpha * logp - q)
        self.policy_adam.zero_grad()
        pi_loss.backward()
        self.policy_adam.step()

        target_entropy = h["target_entropy"] * self.n_act
        alpha_loss = torch.mean(-self.log_alpha * (logp.detach() + target_entropy))
        self.alpha_adam.zero_grad()
        alpha_loss.backward()
        self.alpha_adam.step()

        with torch.no_grad():
            for q, q_target in zip(self.q, self.q_target):
                for t, t_target in zip(q.tensors, q_target.tensors):
                    t_target.lerp_(t, h["tau"])

        gradients = [*[t.grad for t in self.policy.tensors], *grad_q, self.log_alpha.grad]
        metrics = [q_loss, pi_loss, alpha_loss, self.log_alpha.exp(), -logp.mean(), q_mean]
        return ([m.item() for m in metrics],
                np.concatenate([g.numpy().ravel() for g in gradients]))


def clamped(out):
    """Rows whose log sigma lies below and above its range."""
    raw = out.chunk(2, dim=-1)[1]
    return [int(((raw < -20).any(dim=1)).sum()), int(((raw > 2).any(dim=1)).sum())]


def make_case(name, seed, activation, n_act, kinds, log_sigma, must_clamp):
    n_obs, hidden, B, n_updates = 5, [16, 12], 32, 10
    hyper = {"gamma": 0.9, "tau": 0.05, "policy_lr": 2e-3, "q_lr": 3e-3, "alpha_lr": 5e-3,
             "target_entropy": -0.6}
    rng = np.random.default_rng([SEED, seed])
    sac = Sac(rng, n_obs, n_act, hidden, activation, hyper, log_sigma)
    out = {"sizes": [n_obs, n_act, B, n_updates, len(hidden), *hidden,
                     ["relu", "tanh"].index(activation)],
           "hyper": list(hyper.values()), "params0": sac.params(), "targets0": sac.targets()}
    rows = np.stack([draw_rows(rng, B, n_obs, n_act, kinds) for _ in range(n_updates)])
    noise = float32(rng.normal(0, 1, (n_updates, B, 2, n_act)))
    metrics = []
    for i in range(n_updates):
        r, e = torch.tensor(rows[i]), torch.tensor(noise[i])
        obs, act = r[:, 0, :n_obs], r[:, 0, n_obs:n_obs + n_act]
        rew, terminated = r[:, 0, n_obs + n_act], (r[:, 0, -1] == TERMINATED).double()
        next_obs = r[:, 1, :n_obs]
        counts = clamped(sac.policy(obs)) + clamped(sac.policy(next_obs))
        if must_clamp and i == 0:
            assert min(counts) >= 2, counts
            print(f"{name}: rows with log sigma below, above (obs, next_obs): {counts}")
        m, gradients = sac.update((obs, act, rew, next_obs, terminated), e[:, 0], e[:, 1])
        metrics.append(m)
        if i == 0:
            out.update(gradients=gradients, params1=sac.params(), targets1=sac.targets())
    out.update(rows=rows.reshape(n_updates, 2 * B, -1), noise=noise.reshape(n_updates, 2 * B, -1),
               metrics=metrics, params10=sac.params(), targets10=sac.targets())
    write(f"sac_{name}", out, seed=SEED, torch=torch.__version__)


# ---- parts ----

def squashed_gaussian_vectors(rng):
    """Rows of two dimensions, ordinary ones and extremes, and d loss / d out for
    loss = sum(dact * act) + dlog_prob * sum(log_prob)."""
    mu = [0, 0.5, -3, 10, -10, 50, -1000]
    raw = [-1, 0, -20, np.nextafter(np.float32(-20), np.float32(-30)), -100, 2,
           np.nextafter(np.float32(2), np.float32(3)), 7, -5]
    eps = [0, 1e-3, -1, 3, -5]
    extremes = [(m, s, e) for m in mu for s in raw for e in eps]
    if len(extremes) % 2:
        extremes.append(extremes[0])
    extremes = np.array(extremes).reshape(-1, 2, 3)
    ordinary = rng.normal(0, 1, (64, 2, 3))
    x = float32(np.concatenate([ordinary, extremes]))
    out = torch.tensor(np.concatenate([x[:, :, 0], x[:, :, 1]], axis=1), requires_grad=True)
    eps = torch.tensor(x[:, :, 2])
    dact = torch.tensor(float32(rng.normal(0, 1, eps.shape)))
    dlog_prob = float(np.float32(0.3))
    act, log_prob = sample(out, eps)
    (torch.sum(dact * act) + dlog_prob * torch.sum(log_prob)).backward()
    return {"gauss_out": out.detach(), "gauss_eps": eps, "gauss_act": act.detach(),
            "gauss_log_prob": log_prob.detach(), "gauss_dact": dact,
            "gauss_dlog_prob": [dlog_prob], "gauss_dout": out.grad}


def adam_vectors(rng):
    """Five steps; gradients from far below epsilon to huge, and exact zeros."""
    n, lr, betas, epsilon = 12, 0.05, (0.9, 0.999), 1e-8
    theta = torch.tensor(float32(rng.normal(0, 1, n)), requires_grad=True)
    scale = np.array([1, 1, 1, 1, 1e-3, 1e-6, 1e-7, 1e-8, 1e-9, 1e3, 1e6, 0])
    grads = float32(rng.normal(0, 1, (5, n)) * scale)
    adam = torch.optim.Adam([theta], lr=lr, betas=betas, eps=epsilon)
    thetas = [theta.detach().numpy().copy()]
    for g in grads:
        theta.grad = torch.tensor(g)
        adam.step()
        thetas.append(theta.detach().numpy().copy())
    state = adam.state[theta]
    return {"adam_hyper": [lr, *betas, epsilon], "adam_grad": grads, "adam_theta": thetas,
            "adam_m": state["exp_avg"], "adam_v": state["exp_avg_sq"]}


def polyak_vectors(rng):
    tau = 0.005
    target, source = (torch.tensor(float32(rng.normal(0, 1, 10))) for _ in range(2))
    return {"polyak_tau": [tau], "polyak_target": target, "polyak_source": source,
            "polyak_result": torch.lerp(target, source, tau)}


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    make_case("relu", 1, "relu", 2, [STEP, TERMINATED, TRUNCATED], (-9, 10), True)
    make_case("tanh", 2, "tanh", 1, [STEP, TRUNCATED], (-0.5, 0.5), False)
    rng = np.random.default_rng([SEED, 3])
    write("sac_parts", {**squashed_gaussian_vectors(rng), **adam_vectors(rng), **polyak_vectors(rng)},
          seed=SEED, torch=torch.__version__)


if __name__ == "__main__":
    main()
