#!/usr/bin/env python3
"""Numbers for test_deterministic_golden.c from an independent TD3 on PyTorch's autograd and Adam.

    pip install torch==2.13.0 numpy
    python3 tests/golden/make_td3_golden.py      # writes td3_<case>.safetensors beside this script

Networks, batches and layouts are those of make_ddpg_golden.py, with two critics: policy | q1 | q2. What the
files hold is the same, too, except

    hyper     tau policy_lr q_lr target_noise target_noise_clip
    noise     [n_updates][B][n_act]: standard normals of the target policy's smoothing
    td_error  [B]: the mean of both critics' |Q_i - y| in the first update
    sizes     its target_every counts moves of the policy
"""

import numpy as np
import torch

from golden import float32, write
from make_ddpg_golden import (ACTIVATIONS, draw_batches, flat, follow, gradient, half_squared, lagging,
                              network, norm, run)

SEED = 20180226


class Td3:
    def __init__(self, rng, n_obs, n_act, hidden, activation, layer_norm, hyper, delay, target_every):
        self.tau, policy_lr, q_lr, self.policy_noise, self.noise_clip = hyper
        self.delay, self.target_every = delay, target_every
        self.actor = network(rng, n_obs, hidden, n_act, activation, layer_norm[0])
        self.critics = [network(rng, n_obs + n_act, hidden, 1, activation, layer_norm[1])
                        for _ in range(2)]
        self.actor_target = lagging(rng, self.actor)
        self.critic_targets = [lagging(rng, critic) for critic in self.critics]
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=policy_lr)
        self.critic_optimizer = torch.optim.Adam([p for c in self.critics for p in c.parameters()],
                                                 lr=q_lr)
        self.total_it = self.actor_it = 0
        self.actor_metrics = [0.0, 0.0]
        self.clipped = self.bounded = self.second = 0

    def params(self):
        return np.concatenate([flat(net) for net in (self.actor, *self.critics)])

    def targets(self):
        return np.concatenate([flat(net) for net in (self.actor_target, *self.critic_targets)])

    def train(self, batch, normals):
        self.total_it += 1
        with torch.no_grad():
            noise = (normals * self.policy_noise).clamp(-self.noise_clip, self.noise_clip)
            unbounded = torch.tanh(self.actor_target(batch["next_obs"])) + noise
            x = torch.cat([batch["next_obs"], unbounded.clamp(-1, 1)], 1)
            target_q1, target_q2 = (target(x) for target in self.critic_targets)
            target_q = torch.min(target_q1, target_q2)
            target_q = batch["rew"] + batch["not_done"] * batch["discount"] * target_q
        self.clipped += int((noise.abs() == self.noise_clip).sum())
        self.bounded += int((unbounded.abs() > 1).sum())
        self.second += int((target_q2 < target_q1).sum())

        x = torch.cat([batch["obs"], batch["act"]], 1)
        q1, q2 = (critic(x) for critic in self.critics)
        critic_loss = half_squared(batch, q1 - target_q) + half_squared(batch, q2 - target_q)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_gradient, critic_norm = np.concatenate([gradient(c) for c in self.critics]), norm(self.critics)
        self.critic_optimizer.step()

        if self.total_it % self.delay == 0:
            self.actor_it += 1
            action = torch.tanh(self.actor(batch["obs"]))
            actor_loss = -self.critics[0](torch.cat([batch["obs"], action], 1)).mean()
            self.actor_optimizer.zero_grad()
            actor_loss.backward()
            self.actor_metrics = [actor_loss.item(), norm([self.actor])]
            self.actor_optimizer.step()
            if self.actor_it % self.target_every == 0:
                follow(self.actor_target, self.actor, self.tau)
                for target, critic in zip(self.critic_targets, self.critics):
                    follow(target, critic, self.tau)

        metrics = [critic_loss.item(), self.actor_metrics[0], 0.5 * (q1 + q2).mean().item(), critic_norm,
                   self.actor_metrics[1]]
        td_error = 0.5 * ((q1 - target_q).abs() + (q2 - target_q).abs())
        return metrics, critic_gradient, td_error.detach().numpy().ravel()


def make_case(name, seed, n_act, activation, layer_norm, hyper, delay, target_every):
    n_obs, hidden, B, n_updates = 5, [16, 12], 24, 10
    rng = np.random.default_rng([SEED, seed])
    agent = Td3(rng, n_obs, n_act, hidden, activation, layer_norm, hyper, delay, target_every)
    batches, drawn = draw_batches(rng, n_updates, B, n_obs, n_act)
    noise = float32(rng.normal(0, 1, (n_updates, B, n_act)))
    out = run(agent, batches, delay, torch.tensor(noise))
    print(f"{name}: of {noise.size} actions the noise of {agent.clipped} was clipped, {agent.bounded} were; "
          f"the second critic was the smaller one {agent.second} times")
    assert min(agent.clipped, agent.bounded, agent.second) >= 10
    write(name, {"sizes": [n_obs, n_act, B, n_updates, len(hidden), *hidden,
                           list(ACTIVATIONS).index(activation), *layer_norm, delay, target_every],
                 "hyper": hyper, **drawn, "noise": noise, **out}, seed=SEED, torch=torch.__version__)


def main():
    torch.set_num_threads(1)
    make_case("td3_relu", 1, 2, "relu", (0, 0), [0.05, 2e-3, 3e-3, 0.6, 0.7], 2, 1)
    # Layer normalisation in the critics; the policy moves with every second update, and the targets are
    # copied with every second of these.
    make_case("td3_tanh", 2, 1, "tanh", (0, 1), [1, 2e-3, 3e-3, 0.8, 0.9], 2, 2)


if __name__ == "__main__":
    main()
