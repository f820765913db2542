#!/usr/bin/env python3
"""Numbers for test_deterministic_golden.c from an independent DDPG on PyTorch's autograd and Adam.

    pip install torch==2.13.0 numpy
    python3 tests/golden/make_ddpg_golden.py     # writes ddpg_<case>.safetensors beside this script

Everything is computed in float64; parameters, rows, weights and discounts are float32 values, so that a
float program starts from exactly the same numbers. Nothing here is derived from the C sources except the
layouts, which are:

    parameters   policy | q, a network per layer as W[n_in][n_out], b[n_out] and, behind those of hidden
                 layers with layer normalisation, its gain [n_out] and offset [n_out]
    targets      as parameters
    row          obs | action | reward | log_prob | kind
                 (kind: 0 step, 1 terminated, 2 truncated, 3 close)

Each file holds, for ten updates in a row:

    sizes     n_obs n_act B n_updates n_hidden hidden... activation (0 relu, 1 tanh, 2 silu), layer
              normalisation in policy and critic (0 or 1 each), policy_delay, target_every
    hyper     tau policy_lr q_lr q_weight_decay
    params0 targets0                  the start
    rows      [n_updates][B * 2][stride]
    discount weight                   [n_updates][B]: gamma^k of n-step returns; importance weights
    metrics   [n_updates][5]: q_loss pi_loss q_mean q_grad_norm pi_grad_norm (the policy's: its last)
    td_error  [B]                     Q - y in the first update
    gradients                         q's of the first update; policy's of the first that moves it
    params1 targets1                  after the first update
    params10 targets10                after the last
"""

import copy
import math

import numpy as np
import torch
import torch.nn as nn

from golden import STEP, TERMINATED, TRUNCATED, draw_rows, float32, write

SEED = 20150909
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


# ---- networks ----

def network(rng, n_in, hidden, n_out, activation, layer_norm):
    layers = []
    for width in hidden:
        layers += [nn.Linear(n_in, width), *([nn.LayerNorm(width)] if layer_norm else []),
                   ACTIVATIONS[activation]()]
        n_in = width
    net = nn.Sequential(*layers, nn.Linear(n_in, n_out)).double()
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                for p in (layer.weight, layer.bias):
                    p.copy_(torch.tensor(float32(rng.uniform(-bound, bound, p.shape))))
            elif isinstance(layer, nn.LayerNorm):
                layer.weight.copy_(torch.tensor(float32(rng.normal(1, 0.2, layer.weight.shape))))
                layer.bias.copy_(torch.tensor(float32(rng.normal(0, 0.2, layer.bias.shape))))
    return net


def lagging(rng, net):
    """A target that lags, so that mixing the two up shows."""
    target = copy.deepcopy(net)
    with torch.no_grad():
        for p in target.parameters():
            p.copy_(torch.tensor(float32(p.numpy() + rng.normal(0, 0.05, p.shape))))
    return target


def flat(net, of=lambda p: p):
    """The network's numbers in the layout above: PyTorch's weights are [n_out][n_in]."""
    parts = []
    for layer in net:
        if isinstance(layer, (nn.Linear, nn.LayerNorm)):
            weight, bias = (of(p).detach().numpy() for p in (layer.weight, layer.bias))
            parts += [(weight.T if isinstance(layer, nn.Linear) else weight).ravel(), bias.ravel()]
    return np.concatenate(parts)


def gradient(net):
    return flat(net, lambda p: p.grad)


def follow(target, net, tau):
    for t, p in zip(target.parameters(), net.parameters()):
        t.data.copy_(tau * p.data + (1 - tau) * t.data)


# ---- batches ----

def draw_batches(rng, n_updates, B, n_obs, n_act):
    """Rows, discounts gamma^k with k = 1 to 3, importance weights, and the same as PyTorch's."""
    # Rewards have a mean so that errors do not cancel in the last bias's gradient.
    rows = np.stack([draw_rows(rng, B, n_obs, n_act, [STEP, TERMINATED, TRUNCATED], 1.5)
                     for _ in range(n_updates)])
    discount = float32(0.9 ** rng.integers(1, 4, (n_updates, B)))
    weight = float32(rng.uniform(0.2, 1, (n_updates, B)))
    batches = []
    for r, gamma, w in zip(rows, discount, weight):
        r = torch.tensor(r)
        batches.append({
            "obs": r[:, 0, :n_obs], "act": r[:, 0, n_obs:n_obs + n_act],
            "rew": r[:, 0, n_obs + n_act:n_obs + n_act + 1], "next_obs": r[:, 1, :n_obs],
            "not_done": (r[:, 0, -1:] != TERMINATED).double(),
            "discount": torch.tensor(gamma)[:, None], "weight": torch.tensor(w)[:, None]})
    return batches, {"rows": rows.reshape(n_updates, 2 * B, -1), "discount": discount, "weight": weight}


def half_squared(batch, error):
    return (batch["weight"] * 0.5 * error ** 2).mean()


def norm(nets):
    return math.sqrt(sum(float((p.grad ** 2).sum()) for net in nets for p in net.parameters()))


# ---- DDPG ----

class Ddpg:
    def __init__(self, rng, n_obs, n_act, hidden, activation, layer_norm, hyper, delay, target_every):
        self.tau, policy_lr, q_lr, q_weight_decay = hyper
        self.delay, self.target_every = delay, target_every
        self.actor = network(rng, n_obs, hidden, n_act, activation, layer_norm[0])
        self.critic = network(rng, n_obs + n_act, hidden, 1, activation, layer_norm[1])
        self.actor_target, self.critic_target = lagging(rng, self.actor), lagging(rng, self.critic)
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=policy_lr)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=q_lr,
                                                 weight_decay=q_weight_decay)
        self.total_it = 0
        self.actor_metrics = [0.0, 0.0]

    def params(self):
        return np.concatenate([flat(self.actor), flat(self.critic)])

    def targets(self):
        return np.concatenate([flat(self.actor_target), flat(self.critic_target)])

    def train(self, batch):
        self.total_it += 1
        with torch.no_grad():
            next_act = torch.tanh(self.actor_target(batch["next_obs"]))
            target_q = self.critic_target(torch.cat([batch["next_obs"], next_act], 1))
            target_q = batch["rew"] + batch["not_done"] * batch["discount"] * target_q
        current_q = self.critic(torch.cat([batch["obs"], batch["act"]], 1))
        critic_loss = half_squared(batch, current_q - target_q)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_gradient, critic_norm = gradient(self.critic), norm([self.critic])
        self.critic_optimizer.step()

        if self.total_it % self.delay == 0:
            action = torch.tanh(self.actor(batch["obs"]))
            actor_loss = -self.critic(torch.cat([batch["obs"], action], 1)).mean()
            self.actor_optimizer.zero_grad()
            actor_loss.backward()
            self.actor_metrics = [actor_loss.item(), norm([self.actor])]
            self.actor_optimizer.step()
        if self.total_it % self.target_every == 0:
            follow(self.actor_target, self.actor, self.tau)
            follow(self.critic_target, self.critic, self.tau)

        metrics = [critic_loss.item(), self.actor_metrics[0], current_q.mean().item(), critic_norm,
                   self.actor_metrics[1]]
        return metrics, critic_gradient, (current_q - target_q).detach().numpy().ravel()


def run(agent, batches, delay, *more):
    """All updates: what a file holds of them."""
    out = {"params0": agent.params(), "targets0": agent.targets(), "metrics": []}
    for i, batch in enumerate(batches):
        metrics, critic_gradient, td_error = agent.train(batch, *(m[i] for m in more))
        out["metrics"].append(metrics)
        if i == 0:
            first = critic_gradient
            out.update(td_error=td_error, params1=agent.params(), targets1=agent.targets())
        if i + 1 == delay:
            out["gradients"] = np.concatenate([gradient(agent.actor), first])
    out.update(params10=agent.params(), targets10=agent.targets())
    return out


def make_case(name, seed, n_act, activation, layer_norm, hyper, delay, target_every):
    n_obs, hidden, B, n_updates = 5, [16, 12], 24, 10
    rng = np.random.default_rng([SEED, seed])
    agent = Ddpg(rng, n_obs, n_act, hidden, activation, layer_norm, hyper, delay, target_every)
    batches, drawn = draw_batches(rng, n_updates, B, n_obs, n_act)
    write(name, {"sizes": [n_obs, n_act, B, n_updates, len(hidden), *hidden,
                           list(ACTIVATIONS).index(activation), *layer_norm, delay, target_every],
                 "hyper": hyper, **drawn, **run(agent, batches, delay)}, seed=SEED, torch=torch.__version__)


def main():
    torch.set_num_threads(1)
    make_case("ddpg_relu", 1, 2, "relu", (0, 0), [0.05, 2e-3, 3e-3, 0], 1, 1)
    # Layer normalisation in the critic; a delayed policy; targets copied after updates 3, 6 and 9.
    make_case("ddpg_silu", 2, 1, "silu", (0, 1), [1, 2e-3, 3e-3, 1e-2], 2, 3)


if __name__ == "__main__":
    main()
