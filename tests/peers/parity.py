#!/usr/bin/env python3
"""Compare Shoal's environments with the real Gymnasium, step by step and reset by reset.

    make test-peers                                   # in its own Python environment
    python3 tests/peers/parity.py [ENV...]            # with requirements.txt installed

Steps. For every recording in tests/golden, hence every environment and its options, Shoal rolls
out 1000 steps of one table of actions. Gymnasium is put into the recorded state at each episode's
start and given the recorded actions; observations, rewards and flags must agree at every step:

    observations   1e-10 of max(1, |x|)
    rewards        1e-10 of max(1, |x|), also where Gymnasium sums squared actions in float32
    flags          equal

Resets. Shoal's 10,000 episode starts against 10,000 of Gymnasium's, per coordinate of the state:

    mean, standard deviation   no further apart than 5 standard errors of their difference
    support                    inside the interval it is drawn from, and coming within 20/n of its
                               width to both ends, which n uniform draws miss once in 10^8
    distribution               two-sample Kolmogorov-Smirnov at 10^-6 over all coordinates of all
                               environments together
    constants                  equal

Tasks that have a reset_noise_scale are compared once more with twice the default.

Both programs run from fixed seeds: a result does not change from run to run.
"""

import argparse
import inspect
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import warnings

import gymnasium
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "golden"))

from make_env_golden import REWARD_TOLERANCE, TEXT_BYTES, Classic, Mujoco, shape_of  # noqa: E402

N_STEPS, N_RESETS = 1000, 10000
OBS_TOLERANCE = 1e-10
SIGMAS = 5
KS_ALPHA = 1e-6 / 1000    # there are fewer than 1000 coordinates


# ---- what to compare, and with what ----

def recordings():
    """[(name, options as Gymnasium takes them)] of the golden files, default options first."""
    found = []
    folder = os.path.join(ROOT, "tests", "golden")
    for file in sorted(os.listdir(folder)):
        if file.startswith("env_") and file.endswith(".bin"):
            with open(os.path.join(folder, file), "rb") as fp:
                name, options = fp.read(TEXT_BYTES).decode().split("\n")[:2]
            found.append((name, json.loads("{" + re.sub(r"(\w+): ", r'"\1": ', options) + "}")))
    return sorted(found, key=lambda x: (bool(x[1]), not x[0].endswith(("v4", "v5")), x[0]))


def make(name, options):
    env = gymnasium.make(name, disable_env_checker=True, **options)
    env.reset(seed=0)
    return env, (Mujoco if hasattr(env.unwrapped, "model") else Classic)(env)


def rollout(shoal, name, options, folder, n_steps, policy, start=None):
    """Run `shoal rollout` and load what it wrote."""
    out = os.path.join(folder, "out.npz")
    command = [shoal, "rollout", name, "--policy", policy, "--steps", str(n_steps), "--seed", "7",
               "--out", out]
    if start is not None:
        state = os.path.join(folder, "start.npz")
        np.savez(state, **start)
        command += ["--state", state]
    command += [f"env.{key}={json.dumps(value)}" for key, value in options.items()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().split("\n")[-1]
        raise RuntimeError(f"{' '.join(command[1:3])}: {said or f'status {done.returncode}'}")
    with np.load(out) as data:
        return {key: data[key] for key in data.files}


def table_of_actions(env, n_steps):
    """[n_steps][n_act]: wild, then calm enough for a task that could go on, then held for long."""
    rng = np.random.default_rng(11)
    n_choices, n_act = shape_of(env)
    if n_choices:
        actions = rng.integers(n_choices, size=(n_steps, 1))
        actions[n_steps // 2:] = np.repeat(actions[n_steps // 2::10], 10, axis=0)[:n_steps // 2]
        return actions.astype(np.float32)
    actions = rng.uniform(-1.2, 1.2, (n_steps, n_act)) * env.action_space.high
    third = n_steps // 3
    actions[third:2 * third] *= 0.1
    actions[2 * third:] = np.repeat(actions[2 * third::12], 12, axis=0)[:n_steps - 2 * third]
    return actions.astype(np.float32)


def first_start(name):
    """Where the first episode starts, for tasks that chance would not bring to their end."""
    if name == "MountainCarContinuous-v0":
        return dict(state=np.float64(np.float32([0.3, 0.06])))
    if name == "Acrobot-v1":
        return dict(state=np.array([2.5, 0.6, 2.0, 1.0]))
    return None


# ---- steps ----

def apart(found, expected):
    """The largest difference, relative to what is larger than 1; NaN counts as infinite."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    if found.shape != expected.shape:
        return math.inf
    gap = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    return float(np.max(np.where(np.isnan(gap), np.inf, gap)))


def state_at(data, i):
    if "qpos" in data:
        return np.concatenate([data["qpos"][i], data["qvel"][i]])
    return data["state"][i]


def compare_steps(shoal, name, options, folder):
    """One line of the table: a dict."""
    env, kind = make(name, options)
    actions = table_of_actions(env, N_STEPS)
    policy = os.path.join(folder, "actions.npy")
    np.save(policy, actions)
    data = rollout(shoal, name, options, folder, N_STEPS, policy, first_start(name))
    if not np.array_equal(data["action"].reshape(actions.shape), actions):
        raise RuntimeError("the recorded actions are not those of the table")

    line = dict(name=name, options=options, episodes=0, terminated=0, truncated=0,
                obs=0.0, reward=0.0, flags=0)
    is_new = True
    for i, action in enumerate(actions):
        if is_new:
            env.reset()
            kind.place(state_at(data, i))
            line["episodes"] += 1
        line["obs"] = max(line["obs"], apart(data["obs"][i], kind.observation()))
        _, reward, terminated, truncated, _ = env.step(
            int(action[0]) if shape_of(env)[0] else action)
        line["obs"] = max(line["obs"], apart(data["next_obs"][i], kind.observation()))
        line["reward"] = max(line["reward"], apart(data["reward"][i], reward))
        line["flags"] += ((terminated, truncated)
                          != (bool(data["terminated"][i]), bool(data["truncated"][i])))
        line["terminated"] += terminated
        line["truncated"] += truncated
        is_new = bool(data["terminated"][i]) or bool(data["truncated"][i])
    line["good"] = (line["obs"] <= OBS_TOLERANCE and line["reward"] <= REWARD_TOLERANCE
                    and line["flags"] == 0)
    return line


# ---- resets ----

def support(name, n_qpos, scale):
    """(low, high) around the initial values per coordinate of qpos|qvel or state; None: normal.

    Those of Gymnasium, `scale` times the default reset_noise_scale. Equal ends are a constant."""
    task = name.split("-")[0]
    n_qvel = n_qpos - (task in ("Ant", "Humanoid", "HumanoidStandup"))

    def box(size):
        return [(-scale * size, scale * size)]
    if task in ("InvertedPendulum", "Humanoid", "HumanoidStandup"):
        return box(0.01) * (n_qpos + n_qvel)
    if task in ("Hopper", "Walker2d"):
        return box(0.005) * (n_qpos + n_qvel)
    if task == "Swimmer":
        return box(0.1) * (n_qpos + n_qvel)
    if task in ("InvertedDoublePendulum", "HalfCheetah", "Ant"):
        return box(0.1) * n_qpos + [None] * n_qvel
    if task == "Reacher":
        return box(0.1) * 2 + [(-0.3, 0.1), (-0.1, 0.3)] + box(0.005) * 2 + box(0) * 2
    if task == "Pusher":
        return box(0) * 7 + [(-0.3, 0), (-0.2, 0.2)] + box(0) * 2 + box(0.005) * 7 + box(0) * 4
    return {"CartPole-v1": box(0.05) * 4, "Pendulum-v1": [(-math.pi, math.pi), (-1, 1)],
            "MountainCarContinuous-v0": [(-0.6, -0.4), (0, 0)], "Acrobot-v1": box(0.1) * 4}[name]


def derived(name, starts):
    """More coordinates: what the draws of one reset have to do with each other, and its support."""
    if name.startswith("Reacher"):
        return np.linalg.norm(starts[:, 2:4], axis=1), (0, 0.2)
    if name.startswith("Pusher"):
        return np.linalg.norm(starts[:, 7:9], axis=1), (0.17, math.hypot(0.3, 0.2))
    return None


def kolmogorov_smirnov(a, b):
    """The largest gap between the two empirical distribution functions."""
    both = np.concatenate([a, b])
    count = [np.searchsorted(np.sort(x), both, side="right") / x.size for x in (a, b)]
    return float(np.max(np.abs(count[0] - count[1])))


def moments(x):
    """mean, its squared standard error, deviation, its squared standard error"""
    mean, var = np.mean(x), np.var(x)
    fourth = np.mean((x - mean) ** 4)
    return mean, var / x.size, math.sqrt(var), (fourth - var**2) / x.size / (4 * var)


def compare_coordinate(ours, theirs, interval, must_reach):
    """What is wrong with one coordinate's draws, or '', and how far mean, deviation and
    distribution are apart in units of what is allowed."""
    if np.ptp(theirs) == 0:
        return ("" if np.ptp(ours) == 0 and abs(ours[0] - theirs[0]) < 1e-12 else "not constant"), 0
    if np.ptp(ours) == 0:
        return "constant", math.inf
    m1, m2 = moments(ours), moments(theirs)
    worst = {
        "mean": abs(m1[0] - m2[0]) / math.sqrt(m1[1] + m2[1]) / SIGMAS,
        "deviation": abs(m1[2] - m2[2]) / math.sqrt(m1[3] + m2[3]) / SIGMAS,
        "distribution": kolmogorov_smirnov(ours, theirs)
                        / math.sqrt(-math.log(KS_ALPHA / 2) / 2 * 2 / ours.size),
    }
    if interval is not None:
        low, high = interval
        slack = 1e-7 * (high - low)    # draws in float32
        if np.min(ours) < low - slack or np.max(ours) > high + slack:
            return f"outside [{low:g}, {high:g}]", math.inf
        reach = 20 / ours.size * (high - low)
        if must_reach and (np.min(ours) > low + reach or np.max(ours) < high - reach):
            return f"does not fill [{low:g}, {high:g}]", math.inf
    name = max(worst, key=worst.get)
    return ("" if worst[name] <= 1 else f"{name} differs"), worst[name]


def gymnasium_starts(name, options):
    env, kind = make(name, options)
    initial = np.concatenate([env.unwrapped.init_qpos, env.unwrapped.init_qvel]) if kind.nv else 0
    if name.startswith("Pusher"):
        initial = 0    # Gymnasium's own copy is overwritten by its resets
    starts = []
    for i in range(N_RESETS):
        env.reset(seed=1 if i == 0 else None)
        starts.append(kind.start() - initial)
    return np.array(starts), initial, kind.nq


def noise_scale(name):
    """The default of reset_noise_scale, or None where there is no such option."""
    parameters = inspect.signature(type(make(name, {})[0].unwrapped).__init__).parameters
    return parameters["reset_noise_scale"].default if "reset_noise_scale" in parameters else None


def compare_resets(shoal, name, scale, folder):
    """One line of the table: a dict. `scale` multiplies the default noise."""
    options = dict(reset_noise_scale=scale * noise_scale(name)) if scale != 1 else {}
    theirs, initial, nq = gymnasium_starts(name, options)
    data = rollout(shoal, name, dict(options, max_episode_steps=1), folder, N_RESETS, "zero")
    ours = np.array([state_at(data, i) for i in range(N_RESETS)]) - initial
    line = dict(n=theirs.shape[1], worst=0.0, wrong=[])
    if ours.shape != theirs.shape:
        return dict(line, wrong=[f"shape {ours.shape}, Gymnasium has {theirs.shape}"])

    intervals = support(name, nq, scale)
    assert len(intervals) == theirs.shape[1], name
    columns = [(str(i), ours[:, i], theirs[:, i], interval, derived(name, ours) is None)
               for i, interval in enumerate(intervals)]
    if derived(name, ours) is not None:
        offset = np.broadcast_to(initial, theirs.shape[1:])
        (ours_more, interval), (theirs_more, _) = (derived(name, x + offset) for x in (ours, theirs))
        columns.append(("norm", ours_more, theirs_more, interval, False))
    for label, *column in columns:
        wrong, worst = compare_coordinate(*column)
        line["worst"] = max(line["worst"], worst)
        if wrong:
            line["wrong"].append(f"{label}: {wrong}")
    return line


# ---- the report ----

def option_text(options):
    return " ".join(f"{key}={json.dumps(value)}" for key, value in options.items())


def report_steps(shoal, cases, folder):
    print(f"steps ({N_STEPS} each)                  episodes  term. trunc.   observation  "
          "reward    flags")
    n_bad = 0
    for name, options in cases:
        try:
            x = compare_steps(shoal, name, options, folder)
        except (RuntimeError, KeyError) as problem:
            print(f"  {name:30} {problem}  FAILS")
            n_bad += 1
            continue
        print(f"  {name:30} {x['episodes']:11} {x['terminated']:6} {x['truncated']:5}   "
              f"{x['obs']:11.1e}  {x['reward']:7.1e} {x['flags']:5}  "
              f"{'' if x['good'] else 'FAILS  '}{option_text(options)}", flush=True)
        n_bad += not x["good"]
    return n_bad


def report_resets(shoal, names, folder):
    print(f"\nresets ({N_RESETS} each)              coordinates   worst, of what is allowed")
    n_bad = 0
    for name, scale in [(x, 1) for x in names] + [(x, 2) for x in names if noise_scale(x)]:
        try:
            x = compare_resets(shoal, name, scale, folder)
        except (RuntimeError, KeyError) as problem:
            print(f"  {name:30} {problem}  FAILS")
            n_bad += 1
            continue
        print(f"  {name:30} {x['n']:14}   {x['worst']:9.2f}  "
              f"{'FAILS  ' + '; '.join(x['wrong']) if x['wrong'] else ''}"
              f"{'  noise x 2' if scale == 2 else ''}", flush=True)
        n_bad += bool(x["wrong"])
    return n_bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shoal", default=os.path.join(ROOT, "build", "release", "shoal"))
    parser.add_argument("environments", nargs="*", help="default: all")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    gymnasium.logger.min_level = gymnasium.logger.ERROR

    cases = [x for x in recordings() if not args.environments or x[0] in args.environments]
    if not cases:
        sys.exit("parity.py: no recording in tests/golden is of " + " ".join(args.environments))
    with tempfile.TemporaryDirectory() as folder:
        n_bad = report_steps(args.shoal, cases, folder)
        n_bad += report_resets(args.shoal, [name for name, options in cases if not options],
                               folder)
    print(f"\n{n_bad} comparisons fail" if n_bad else "\nall agree")
    sys.exit(n_bad > 0)


if __name__ == "__main__":
    main()
