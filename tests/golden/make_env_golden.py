#!/usr/bin/env python3
"""Record episodes of Gymnasium's environments for test_env_golden.c.

    pip install gymnasium==1.2.3 mujoco==3.3.7 numpy imageio packaging
    python3 tests/golden/make_env_golden.py          # writes env_<name>.bin beside this script

A file is little-endian float64 only:

    n_obs  n_act  n_state  n_episodes
    per episode:  n_steps  state[n_state]  obs[n_obs]
        per step:  action[n_act]  units[n_act]  obs[n_obs]  reward  terminated  truncated

`action` is in policy units ([-1, 1] spans the bounds, values beyond are clipped), `units` what
Gymnasium was given; both are float32 values. `state` is what Shoal's environment saves. Numbers
hold for the versions above: MuJoCo does not promise equal trajectories across versions.
"""

import os

import gymnasium
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


class Mujoco:
    """Any MuJoCo task: observations are float64 as Gymnasium returns them."""

    @staticmethod
    def state(env):
        d = env.unwrapped.data
        return np.concatenate([[d.time], d.qpos, d.qvel, d.act, d.qacc_warmstart, d.ctrl])

    @staticmethod
    def observation(env, obs):
        return obs

    @staticmethod
    def place(env, qpos, qvel):
        env.unwrapped.set_state(np.array(qpos), np.array(qvel))
        return env.unwrapped._get_obs()


class Pendulum:
    """Gymnasium rounds the observation to float32; here it is taken before rounding."""

    @staticmethod
    def state(env):
        return env.unwrapped.state

    @staticmethod
    def observation(env, obs):
        theta, speed = env.unwrapped.state
        exact = np.array([np.cos(theta), np.sin(theta), speed])
        assert np.array_equal(exact.astype(np.float32), obs)
        return exact

    @staticmethod
    def place(env, theta, speed):
        env.unwrapped.state = np.array([theta, speed])
        return env.unwrapped._get_obs()


def units_of(space, action):
    """Policy units to the environment's, in float32 as actor/env.c does it."""
    low, high, two = space.low, space.high, np.float32(2)
    action = np.clip(action, np.float32(-1), np.float32(1))
    return np.clip(low / two + high / two + (high - low) / two * action, low, high)


def record(env, kind, policy, start=None, seed=0, warm_up=0, n_steps=10**9):
    """One episode from a reset or from `start`, after `warm_up` steps that are not recorded."""
    obs, _ = env.reset(seed=seed)
    if start is not None:
        obs = kind.place(env, *start)
    for _ in range(warm_up):
        obs = env.step(units_of(env.action_space, policy(obs)))[0]

    out = [kind.state(env), kind.observation(env, obs)]
    for t in range(n_steps):
        action = policy(obs).astype(np.float32)
        units = units_of(env.action_space, action)
        obs, reward, terminated, truncated, _ = env.step(units)
        out += [action, units, kind.observation(env, obs), [reward, terminated, truncated]]
        if terminated or truncated:
            break
    return np.concatenate([[t + 1]] + [np.asarray(x, dtype=np.float64) for x in out])


def random_policy(seed, n_act, spread=1.2):
    rng = np.random.default_rng(seed)
    return lambda obs: rng.uniform(-spread, spread, n_act).astype(np.float32)


def linear_policy(gains, noise, seed):
    rng = np.random.default_rng(seed)
    return lambda obs: np.array([np.dot(gains, obs) + rng.normal(0, noise)], dtype=np.float32)


def write(name, kind, episodes):
    env = gymnasium.make(name)
    n_obs, n_act = env.observation_space.shape[0], env.action_space.shape[0]
    recorded = [record(env, kind, **episode) for episode in episodes]
    header = [n_obs, n_act, kind.state(env).size, len(recorded)]
    path = os.path.join(HERE, f"env_{name}.bin")
    np.concatenate([header] + recorded).astype("<f8").tofile(path)
    print(os.path.basename(path), os.path.getsize(path), "bytes; steps",
          [int(r[0]) for r in recorded])


def main():
    balance = np.array([0.3, 2.2, 0.35, 0.55])
    write("InvertedPendulum-v5", Mujoco, [
        dict(policy=linear_policy(balance, 0.1, 1), seed=1),                       # to the limit
        dict(policy=random_policy(2, 1, 0.05), seed=2),
        dict(policy=random_policy(3, 1, 5), seed=3),                               # clipped
        dict(policy=linear_policy(-balance, 0, 4), seed=4),
        dict(policy=linear_policy(balance, 0, 5), start=([0.99, 0], [0.4, 0])),    # off the stop
        dict(policy=random_policy(6, 1), start=([0, 0.25], [0, 0])),               # fallen
        dict(policy=linear_policy(balance, 0.3, 7), seed=7, warm_up=50, n_steps=100),
    ] + [
        dict(policy=random_policy(8, 1, 0.02), start=([0, angle], [0, 0]))         # at the edge
        for angle in np.linspace(-0.2, 0.2, 12)
    ])
    write("Pendulum-v1", Pendulum, [
        dict(policy=random_policy(1, 1), seed=1),
        dict(policy=random_policy(2, 1, 4), seed=2),
        dict(policy=lambda obs: np.sign(obs[2:3] + np.float32(1e-3)), seed=3),     # swing up, spin
        dict(policy=random_policy(4, 1), start=(-20.0, 7.9), n_steps=60),
        dict(policy=random_policy(5, 1), seed=5, warm_up=50, n_steps=60),
    ])


if __name__ == "__main__":
    main()
