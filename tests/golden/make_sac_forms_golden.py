#!/usr/bin/env python3
"""Numbers for test_sac_golden.c: the three forms of SAC on PyTorch's autograd and Adam.

    pip install torch==2.13.0 numpy
    python3 tests/golden/make_sac_forms_golden.py    # writes sac_form_<case>.safetensors beside this script

float64 throughout; what the C program starts from are float32 values. Each form is written down from
its paper; of the C sources only the layouts are used:

    parameters   policy | q1 | q2 | log alpha (| v), a network per layer as W[n_in][n_out], b[n_out]
                 and, in hidden layers with layer normalisation, gain[n_out], offset[n_out]
    row          obs | action | reward | log_prob | kind     (a discrete action is its index)
    noise        [B][1 + policy_delay][n_act]: for the values' action, then for each step of the policy

Every case mixes steps, terminations and truncations, and gives every row its own importance weight and
its own discount. Tensors, for ten updates in a row:

    sizes     n_obs n_act n_choices B n_updates n_hidden hidden...  activation (0 relu, 1 tanh)
              1 if critics and V have layer normalisation
    hyper     value_network tau target_every policy_delay policy_lr q_lr alpha_lr learn_alpha
              target_entropy (per dimension, or of log n_choices)
    params0 targets0                    the start
    rows      [n_updates][2 B][stride]    noise [n_updates][B (1 + policy_delay)][n_act]
    discount weight [n_updates][B]
    metrics   [n_updates][7]: q_loss pi_loss alpha_loss alpha entropy q_mean v_loss; while the policy
              waits its numbers are the last ones (0 before the first)
    td_error  [B] of the first update: the mean of both critics' Q - y
    params1 targets1                    after the first update
    gradients                           of update number policy_delay, the first that moves the policy
    params10 targets10                  after the last
"""

import math

import numpy as np
import torch

import golden
import make_sac_golden as base
from golden import STEP, TERMINATED, TRUNCATED, float32

SEED = 20181213


class Mlp:
    def __init__(self, rng, widths, activation, has_norm):
        self.f = {"relu": torch.relu, "tanh": torch.tanh}[activation]
        self.layers = []
        for l, (n_in, n_out) in enumerate(zip(widths, widths[1:])):
            bound = 1 / math.sqrt(n_in)
            values = [rng.uniform(-bound, bound, (n_in, n_out)), rng.uniform(-bound, bound, n_out)]
            if has_norm and l + 2 < len(widths):
                values += [rng.normal(1, 0.2, n_out), rng.normal(0, 0.2, n_out)]
            self.layers.append([torch.tensor(float32(v), requires_grad=True) for v in values])

    def tensors(self):
        return [t for layer in self.layers for t in layer]

    def __call__(self, x):
        for l, (w, b, *norm) in enumerate(self.layers):
            x = x @ w + b
            if norm:
                x = torch.nn.functional.layer_norm(x, x.shape[-1:], *norm, eps=1e-5)
            if l + 1 < len(self.layers):
                x = self.f(x)
        return x


def flat(tensors):
    return np.concatenate([t.detach().numpy().ravel() for t in tensors])


def lagging(rng, make, source):
    """A target that differs from its source, so that mixing them up shows."""
    target = make()
    with torch.no_grad():
        for t, s in zip(target.tensors(), source.tensors()):
            t.copy_(torch.tensor(float32((s + torch.tensor(rng.normal(0, 0.05, s.shape))).numpy())))
    return target


def descend(adam, loss, tensors):
    """One step; the gradients that it took."""
    adam.zero_grad()
    loss.backward(inputs=tensors)
    gradients = [t.grad.clone() for t in tensors]
    adam.step()
    return gradients


class Sac:
    """What the papers have in common."""

    def __init__(self, rng, case):
        self.case = case
        n_obs, n_act, n, hidden = case["n_obs"], case["n_act"], case["n_choices"], case["hidden"]

        def network(n_in, n_out, has_norm):
            return lambda: Mlp(rng, [n_in, *hidden, n_out], case["activation"], has_norm)

        make_q = network(n_obs, n, case["norm"]) if n else network(n_obs + n_act, 1, case["norm"])
        self.policy = network(n_obs, n or 2 * n_act, False)()
        self.q = [make_q(), make_q()]
        self.v = network(n_obs, 1, case["norm"])() if case["value_network"] else None
        sources = [self.v] if self.v else self.q
        makes = network(n_obs, 1, case["norm"]) if self.v else make_q
        self.target = [lagging(rng, makes, s) for s in sources]
        self.sources = sources
        self.log_alpha = torch.tensor(float32(-0.7), requires_grad=True)
        self.target_entropy = case["target_entropy"] * (math.log(n) if n else n_act)
        adam = torch.optim.Adam
        self.q_tensors = self.q[0].tensors() + self.q[1].tensors()
        self.q_adam = adam(self.q_tensors, lr=case["q_lr"])
        self.policy_adam = adam(self.policy.tensors(), lr=case["policy_lr"])
        self.alpha_adam = adam([self.log_alpha], lr=case["alpha_lr"])
        self.v_adam = adam(self.v.tensors(), lr=case["q_lr"]) if self.v else None
        self.metrics = dict.fromkeys(
            ["q_loss", "pi_loss", "alpha_loss", "alpha", "entropy", "q_mean", "v_loss"], 0.0)
        self.gradients = {}
        self.metrics["alpha"] = self.log_alpha.exp().item()
        self.n_updates = 0

    def params(self):
        v = self.v.tensors() if self.v else []
        return flat([*self.policy.tensors(), *self.q_tensors, self.log_alpha, *v])

    def targets(self):
        return flat([t for target in self.target for t in target.tensors()])

    def all_gradients(self):
        return flat([g for part in ("policy", "q", "alpha", "v") for g in self.gradients.get(part, [])])

    def alpha(self):
        return self.log_alpha.detach().exp()

    def update(self, batch, noise):
        self.n_updates += 1
        self.learn_values(batch, noise[:, 0])
        delay = self.case["policy_delay"]
        if self.n_updates % delay == 0:
            for i in range(delay):
                loss, log_pi = self.policy_loss(batch, noise[:, 1 + i])
                self.gradients["policy"] = descend(self.policy_adam, loss, self.policy.tensors())
                self.learn_alpha(log_pi.detach())
                self.metrics.update(pi_loss=loss.item(), entropy=-log_pi.mean().item())
        if self.n_updates % self.case["target_every"] == 0:
            with torch.no_grad():
                for target, source in zip(self.target, self.sources):
                    for t, s in zip(target.tensors(), source.tensors()):
                        t.copy_((1 - self.case["tau"]) * t + self.case["tau"] * s)

    def learn_alpha(self, log_pi):
        loss = torch.mean(-self.log_alpha * (log_pi + self.target_entropy))
        if self.case["learn_alpha"]:
            self.gradients["alpha"] = descend(self.alpha_adam, loss, [self.log_alpha])
        else:
            self.gradients["alpha"] = torch.autograd.grad(loss, [self.log_alpha])
        self.metrics.update(alpha_loss=loss.item(), alpha=self.log_alpha.exp().item())

    def learn_critics(self, batch, values, y):
        """values: [B] of each critic at the stored actions."""
        loss = sum(0.5 * torch.mean(batch["weight"] * (q - y) ** 2) for q in values)
        self.td_error = (0.5 * (values[0] + values[1]) - y).detach().numpy()
        self.metrics.update(q_loss=loss.item(), q_mean=(0.5 * (values[0] + values[1])).mean().item())
        self.gradients["q"] = descend(self.q_adam, loss, self.q_tensors)


class Continuous(Sac):
    """Haarnoja et al. 2018b, algorithm 1."""

    def sample(self, obs, eps):
        act, log_pi = base.sample(self.policy(obs), eps)
        return torch.cat([obs, act], dim=1), log_pi

    def stored(self, batch):
        x = torch.cat([batch["obs"], batch["act"]], dim=1)
        return [q(x).squeeze(1) for q in self.q]

    def learn_values(self, batch, eps):
        with torch.no_grad():
            x, log_pi = self.sample(batch["next_obs"], eps)
            q = torch.minimum(self.target[0](x), self.target[1](x)).squeeze(1)
            soft = q - self.alpha() * log_pi
            y = batch["reward"] + batch["discount"] * batch["goes_on"] * soft
        self.learn_critics(batch, self.stored(batch), y)

    def policy_loss(self, batch, eps):
        x, log_pi = self.sample(batch["obs"], eps)
        q = torch.minimum(self.q[0](x), self.q[1](x)).squeeze(1)
        return torch.mean(self.alpha() * log_pi - q), log_pi


class Value(Continuous):
    """Haarnoja et al. 2018a, algorithm 1, with alpha in place of the reward scale."""

    def learn_values(self, batch, eps):
        with torch.no_grad():
            x, log_pi = self.sample(batch["obs"], eps)
            q = torch.minimum(self.q[0](x), self.q[1](x)).squeeze(1)
            soft = q - self.alpha() * log_pi
        v = self.v(batch["obs"]).squeeze(1)
        loss = 0.5 * torch.mean(batch["weight"] * (v - soft) ** 2)
        self.metrics["v_loss"] = loss.item()
        self.gradients["v"] = descend(self.v_adam, loss, self.v.tensors())
        with torch.no_grad():
            next_v = self.target[0](batch["next_obs"]).squeeze(1)
            y = batch["reward"] + batch["discount"] * batch["goes_on"] * next_v
        self.learn_critics(batch, self.stored(batch), y)

    def policy_loss(self, batch, eps):
        x, log_pi = self.sample(batch["obs"], eps)
        return torch.mean(self.alpha() * log_pi - self.q[0](x).squeeze(1)), log_pi


class Discrete(Sac):
    """Christodoulou 2019, algorithm 1."""

    def distribution(self, obs):
        return torch.distributions.Categorical(logits=self.policy(obs))

    def learn_values(self, batch, _):
        with torch.no_grad():
            d = self.distribution(batch["next_obs"])
            q = torch.minimum(self.target[0](batch["next_obs"]), self.target[1](batch["next_obs"]))
            v = (d.probs * (q - self.alpha() * torch.log_softmax(d.logits, dim=1))).sum(dim=1)
            y = batch["reward"] + batch["discount"] * batch["goes_on"] * v
        index = batch["act"].long()
        self.learn_critics(batch, [q(batch["obs"]).gather(1, index).squeeze(1) for q in self.q], y)

    def policy_loss(self, batch, _):
        d = self.distribution(batch["obs"])
        with torch.no_grad():
            q = torch.minimum(self.q[0](batch["obs"]), self.q[1](batch["obs"]))
        loss = (d.probs * (self.alpha() * d.logits - q)).sum(dim=1).mean()
        return loss, -d.entropy()


def draw_rows(rng, case):
    rows = golden.draw_rows(rng, case["B"], case["n_obs"], case["n_act"], [STEP, TERMINATED, TRUNCATED])
    if case["n_choices"]:
        choices = rng.integers(0, case["n_choices"], rows.shape[:2])
        choices[:case["n_choices"], 0] = range(case["n_choices"])
        rows[:, :, case["n_obs"]] = choices
    return rows


def make_case(name, seed, form, **changes):
    case = {"n_obs": 5, "n_act": 1, "n_choices": 0, "B": 32, "n_updates": 10, "hidden": [14, 10],
            "activation": "tanh", "norm": False, "value_network": form is Value, "tau": 0.05,
            "target_every": 1, "policy_delay": 1, "policy_lr": 2e-3, "q_lr": 3e-3, "alpha_lr": 5e-3,
            "learn_alpha": True, "target_entropy": -0.6, **changes}
    rng = np.random.default_rng([SEED, seed])
    sac = form(rng, case)
    B, n_obs, n_act, n_updates = (case[k] for k in ("B", "n_obs", "n_act", "n_updates"))
    out = {"sizes": [n_obs, n_act, case["n_choices"], B, n_updates, len(case["hidden"]), *case["hidden"],
                     ["relu", "tanh"].index(case["activation"]), case["norm"]],
           "hyper": [float(case[k]) for k in
                     ("value_network", "tau", "target_every", "policy_delay", "policy_lr", "q_lr",
                      "alpha_lr", "learn_alpha", "target_entropy")],
           "params0": sac.params(), "targets0": sac.targets()}
    rows = np.stack([draw_rows(rng, case) for _ in range(n_updates)])
    noise = float32(rng.normal(0, 1, (n_updates, B, 1 + case["policy_delay"], n_act)))
    discount = float32(0.9 ** rng.integers(1, 4, (n_updates, B)))
    weight = float32(rng.uniform(0.2, 1, (n_updates, B)))
    metrics = []
    for i in range(n_updates):
        r = torch.tensor(rows[i])
        batch = {"obs": r[:, 0, :n_obs], "act": r[:, 0, n_obs:n_obs + n_act],
                 "reward": r[:, 0, n_obs + n_act], "goes_on": (r[:, 0, -1] != TERMINATED).double(),
                 "next_obs": r[:, 1, :n_obs], "discount": torch.tensor(discount[i]),
                 "weight": torch.tensor(weight[i])}
        sac.update(batch, torch.tensor(noise[i]))
        metrics.append(list(sac.metrics.values()))
        if i == 0:
            out.update(td_error=sac.td_error, params1=sac.params(), targets1=sac.targets())
        if i + 1 == case["policy_delay"]:
            out.update(gradients=sac.all_gradients())
    out.update(rows=rows.reshape(n_updates, 2 * B, -1), discount=discount, weight=weight,
               metrics=metrics, params10=sac.params(), targets10=sac.targets())
    if not case["n_choices"]:
        out.update(noise=noise.reshape(n_updates, -1, n_act))
    # The headers have always named the seed of make_sac_golden.py.
    golden.write(f"sac_form_{name}", out, seed=base.SEED, torch=torch.__version__)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    make_case("continuous", 1, Continuous, n_act=2, norm=True, tau=1, target_every=4, policy_delay=2)
    make_case("value", 2, Value, n_act=2, activation="relu", learn_alpha=False)
    make_case("value_norm", 3, Value, norm=True, tau=0.5, target_every=3)
    make_case("discrete", 4, Discrete, n_choices=3, activation="relu", target_entropy=0.5)
    make_case("discrete_norm", 5, Discrete, n_choices=2, norm=True, tau=1, target_every=3,
              policy_delay=2, target_entropy=0.98)


if __name__ == "__main__":
    main()
