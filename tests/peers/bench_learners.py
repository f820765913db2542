#!/usr/bin/env python3
"""Updates per second, Shoal's against Stable-Baselines3's (on PyTorch), in one run.

    make bench-peers-learners                             # in its own Python environment
    python3 tests/peers/bench_learners.py --shoal build/release/shoal [--threads 2] [--rounds 5] [CASE...]

A case is a row of `shoal bench updates` ("sac 256-256 b256"; a part of a name means all that contain it). Both have
the same networks, batch size, optimiser and hyper-parameters (the preset sb3), 17 observations and 6 actions of
float32, and buffers full of made-up transitions; both draw their batches from them within the time. PPO's and A2C's
learning rate is 1e-12 in both, so that the made-up actions stay the policy's. Advantages are ready-made for
Stable-Baselines3, whose train() does not compute them; Shoal's time includes them.

Per round they take turns, a window each; a ratio is the median over the rounds. A round in which the machine was
taken away from either (less than 98 % of a core) is repeated; after too many the line is marked with !."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

THREADS = next((int(b) for a, b in zip(sys.argv, sys.argv[1:]) if a == "--threads"), 1)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(THREADS)

import gymnasium  # noqa: E402
import numpy  # noqa: E402
import stable_baselines3  # noqa: E402
import torch  # noqa: E402
from stable_baselines3.common.logger import Logger  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv  # noqa: E402

N_OBS, N_ACT, CAPACITY = 17, 6, 100_000
STILL = 1e-12    # a learning rate
CASES = {        # name: class, hidden layers, activation, batch size, (streams, horizon) of a round
    "ppo 64-64 b64": (stable_baselines3.PPO, [64, 64], torch.nn.Tanh, 64, (1, 2048)),
    "ppo 256-256 b1024": (stable_baselines3.PPO, [256, 256], torch.nn.Tanh, 1024, (1, 2048)),
    "a2c 64-64 b64": (stable_baselines3.A2C, [64, 64], torch.nn.Tanh, 64, (8, 8)),
    "a2c 256-256 b1024": (stable_baselines3.A2C, [256, 256], torch.nn.Tanh, 1024, (64, 16)),
    "ddpg 64-64 b100": (stable_baselines3.DDPG, [64, 64], torch.nn.ReLU, 100, None),
    "ddpg 256-256 b256": (stable_baselines3.DDPG, [256, 256], torch.nn.ReLU, 256, None),
    "td3 64-64 b100": (stable_baselines3.TD3, [64, 64], torch.nn.ReLU, 100, None),
    "td3 256-256 b256": (stable_baselines3.TD3, [256, 256], torch.nn.ReLU, 256, None),
    "sac 64-64 b100": (stable_baselines3.SAC, [64, 64], torch.nn.ReLU, 100, None),
    "sac 256-256 b256": (stable_baselines3.SAC, [256, 256], torch.nn.ReLU, 256, None),
}
MOST_REJECTED = 2    # per round, on average


class Spaces(gymnasium.Env):
    """HalfCheetah's spaces and nothing behind them."""
    observation_space = gymnasium.spaces.Box(-numpy.inf, numpy.inf, (N_OBS,), numpy.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (N_ACT,), numpy.float32)

    def reset(self, **_):
        return numpy.zeros(N_OBS, numpy.float32), {}


# ---- Stable-Baselines3 ----

def off_policy(kind, hidden, activation, batch):
    """A function that does n updates."""
    model = kind("MlpPolicy", Spaces(), buffer_size=CAPACITY, batch_size=batch, device="cpu", seed=1,
                 policy_kwargs=dict(net_arch=hidden, activation_fn=activation))
    rng, buffer = numpy.random.default_rng(1), model.replay_buffer
    for array in (buffer.observations, buffer.next_observations, buffer.rewards):
        array[:] = rng.standard_normal(array.shape, numpy.float32)
    buffer.actions[:] = numpy.clip(rng.standard_normal(buffer.actions.shape, numpy.float32), -1, 1)
    buffer.pos, buffer.full = 0, True
    model.set_logger(Logger(None, []))

    def update(n):
        model.train(gradient_steps=n, batch_size=batch)
        return n
    return update


def on_policy(kind, hidden, activation, batch, streams, horizon):
    """A function that does about n updates: all minibatches of the round, again and again."""
    is_ppo = kind is stable_baselines3.PPO
    model = kind("MlpPolicy", DummyVecEnv([Spaces] * streams), learning_rate=STILL, n_steps=horizon, device="cpu",
                 seed=1, policy_kwargs=dict(net_arch=dict(pi=hidden, vf=hidden), activation_fn=activation),
                 **(dict(batch_size=batch, n_epochs=1) if is_ppo else {}))
    rng, buffer = numpy.random.default_rng(1), model.rollout_buffer
    for array in (buffer.observations, buffer.actions, buffer.advantages, buffer.returns, buffer.values):
        array[:] = rng.standard_normal(array.shape, numpy.float32)
    buffer.log_probs[:] = -0.5 * (buffer.actions ** 2 + numpy.log(2 * numpy.pi)).sum(-1)
    buffer.full = True
    model.set_logger(Logger(None, []))
    per_call = streams * horizon // batch

    def update(n):
        calls = max(1, n // per_call)
        for _ in range(calls):
            model.train()
        return calls * per_call
    return update


def make(name):
    kind, hidden, activation, batch, round_ = CASES[name]
    if round_:
        return on_policy(kind, hidden, activation, batch, *round_)
    return off_policy(kind, hidden, activation, batch)


def window(update, seconds):
    """Updates per second, and whether nobody else had the core. As in `shoal bench`, one thread's time is its CPU
    time, that of several is wall time."""
    n, done, wall, cpu = 1, 0, time.perf_counter(), time.process_time()
    while (spent := time.perf_counter() - wall) < seconds:
        done += update(n)
        n = max(1, min(64, int(done * seconds / 10 / max(spent, 1e-3))))
    spent, busy = time.perf_counter() - wall, time.process_time() - cpu
    return done / (busy if THREADS == 1 else spent), busy >= 0.98 * spent


# ---- Shoal ----

def shoal(program, name, seconds):
    """{variant: updates per second}, and whether nobody else had the core."""
    done = subprocess.run([program, "bench", "updates", "--json", "--filter", name, "--seconds", str(seconds)],
                          check=True, text=True, stdout=subprocess.PIPE)
    rows = [r for r in json.loads(done.stdout)["rows"] if r["name"] == name]
    mine = {r["column"]: r["median"] for r in rows if int(r["column"].rpartition("x")[2]) <= THREADS}
    return mine, not any(r["disturbed"] for r in rows)


# ---- both ----

def compare(name, args):
    """Print a line per variant of Shoal's."""
    update = make(name)
    update(8)
    peers, ours, rejected = [], [], 0
    while len(peers) < args.rounds:
        peer, peer_is_good = window(update, 5 * args.seconds)    # as long as Shoal's five windows
        rates, is_good = shoal(args.shoal, name, args.seconds)
        if not (peer_is_good and is_good) and rejected < MOST_REJECTED * args.rounds:
            rejected += 1
            continue
        peers.append(peer)
        ours.append(rates)
    mark = "!" if rejected == MOST_REJECTED * args.rounds else ""
    for variant in ours[0]:
        ratios = [o[variant] / p for o, p in zip(ours, peers)]
        print(f"{name:20} {variant:18} {mark + format(statistics.median(peers), '.0f'):>12} "
              f"{statistics.median(o[variant] for o in ours):10.0f} {statistics.median(ratios):7.1f}x "
              f"({min(ratios):.1f} to {max(ratios):.1f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shoal", required=True)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, and the most of Shoal")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a window")
    parser.add_argument("cases", nargs="*", metavar="CASE")
    args = parser.parse_args()
    names = [n for n in CASES if not args.cases or any(c in n for c in args.cases)]
    if not names:
        parser.error(f"no case contains {' or '.join(args.cases)}; there are {', '.join(CASES)}")
    torch.set_num_threads(THREADS)
    print(f"Stable-Baselines3 {stable_baselines3.__version__}, PyTorch {torch.__version__} "
          f"({torch.backends.cpu.get_cpu_capability()}), {THREADS} thread{'s' if THREADS > 1 else ''}")
    print(f"{'updates/s':20} {'Shoal as':18} {'SB3':>12} {'Shoal':>10} {'ratio':>8}")
    for name in names:
        compare(name, args)


if __name__ == "__main__":
    main()
