#!/usr/bin/env python3
"""Record episodes of Gymnasium's environments for test_env_golden.c.

    pip install -r tests/peers/requirements.txt
    python3 tests/golden/make_env_golden.py          # writes env_*.bin beside this script

A file is text, padded with newlines to 512 bytes, then little-endian float64 only. The text:

    line 1   the environment
    line 2   its options, `key: value, key: [a, b]`, or nothing

The numbers:

    n_obs  n_act  n_choices  nq  nv  reward_tolerance  n_episodes
    per episode:
        n_steps  seed  hold  reach  head  stride  terminated  truncated  start[nq + nv]
        per t = 0 .. n_steps:   reward  checksum
        per shown t:            obs[n_obs]

n_choices is 0 for box actions. nv is 0 for classic control, whose nq numbers are the state; else
the start is qpos and qvel, set after a reset of all else. t = 0 is the start, with reward 0. The
observation at t is shown when t <= head or stride divides t > 0, and in an episode that ended also
at its last two; an episode with stride 0 shows none. The checksum pins every other one:

    sum over i of obs[i] * (1 + (37 i mod 64) / 64)

Only the last step of an episode can be terminated or truncated; one that is neither was cut.

Actions are not stored, they are drawn. `seed` is the state of a splitmix64 generator, and each
draw is

    state += 0x9E3779B97F4A7C15
    z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    u = (z ^ (z >> 31)) >> 40                                  in [0, 2^24)

At steps 1, 1 + hold, 1 + 2 hold.. every coordinate is drawn in order, action = reach * (2u / 2^24
- 1) in float32, or the choice u mod n_choices; in between it stays. `reach` is in the
environment's units and partly beyond its bounds: MuJoCo tasks get what they are given, unclipped.

Classic control rounds its observations to float32; here they are taken before that.

Trajectories are sensitive to the last bit, and processors without fused multiply-add have other
last bits. Therefore each episode runs a second time from a start moved by 1e-14, and is cut where
the two have parted by 1e-11: what is recorded holds to 1e-10 on any of them. Numbers hold for the
versions in requirements.txt: MuJoCo does not promise equal trajectories across versions.

`reward_tolerance` is 1e-10, also where Gymnasium sums squared actions in float32: Shoal adds them in
NumPy's order.
"""

import os
import struct
import warnings

import gymnasium
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 64) - 1
TEXT_BYTES = 512
MOVE, PARTED = 1e-14, 1e-11
REWARD_TOLERANCE = 1e-10


class Actions:
    """The generator described above."""

    def __init__(self, env, seed, hold, reach):
        self.state, self.hold, self.reach, self.t = seed, hold, np.float32(reach), 0
        self.n_choices, self.n_act = shape_of(env)

    def draw(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = ((self.state ^ (self.state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) >> 40

    def next(self):
        if self.t % self.hold == 0:
            if self.n_choices:
                self.action = self.draw() % self.n_choices
            else:
                unit = [2 * self.draw() / 2**24 - 1 for _ in range(self.n_act)]
                self.action = self.reach * np.array(unit, dtype=np.float32)
        self.t += 1
        return self.action


def shape_of(env):
    space = env.action_space
    return (int(space.n), 1) if hasattr(space, "n") else (0, space.shape[0])


class Mujoco:
    """Observations are float64 as Gymnasium returns them."""

    def __init__(self, env):
        self.env = env.unwrapped
        self.nq, self.nv = self.env.model.nq, self.env.model.nv

    def start(self):
        return np.concatenate([self.env.data.qpos, self.env.data.qvel])

    def place(self, start):
        """After env.reset, which resets all else."""
        self.env.set_state(start[:self.nq], start[self.nq:])

    def observation(self):
        return self.env._get_obs()

    def check(self, obs):
        assert np.array_equal(obs, self.observation())


class Classic:
    """Observations before Gymnasium rounds them."""

    def __init__(self, env):
        self.env = env.unwrapped
        self.name = env.spec.id
        self.nq, self.nv = np.asarray(self.env.state).size, 0

    def start(self):
        return np.asarray(self.env.state, dtype=np.float64)

    def place(self, start):
        """Mountain Car's state is float64 after a reset and float32 from then on."""
        self.env.state = np.array(start)
        if self.name.startswith("MountainCar") and np.array_equal(np.float32(start), start):
            self.env.state = np.float32(start)

    def observation(self):
        s = self.start()
        if self.name == "Pendulum-v1":
            return np.array([np.cos(s[0]), np.sin(s[0]), s[1]])
        if self.name == "Acrobot-v1":
            return np.array([np.cos(s[0]), np.sin(s[0]), np.cos(s[1]), np.sin(s[1]), s[2], s[3]])
        return s

    def check(self, obs):
        assert np.array_equal(obs, self.observation().astype(np.float32))


def checksum(obs):
    i = np.arange(obs.size)
    return float(np.sum(obs * (1 + (37 * i % 64) / 64)))


class Recorder:
    """One environment with its options, and a second one to see where episodes part."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.env, self.twin = (gymnasium.make(name, disable_env_checker=True, **options)
                               for _ in range(2))
        for env in (self.env, self.twin):
            env.reset(seed=0)
        kind = Mujoco if hasattr(self.env.unwrapped, "model") else Classic
        self.kind, self.twin_kind = kind(self.env), kind(self.twin)
        self.rng = np.random.default_rng(len(name))
        self.episodes = []

    def reset_start(self, seed):
        self.env.reset(seed=seed)
        return self.kind.start()

    def begin(self, start):
        moved = start + MOVE * self.rng.uniform(-1, 1, start.size) * (start != 0)    # 0 is exact
        if self.name.startswith("MountainCar"):    # a state in float32 does not drift
            moved = start
        for env, kind, at in ((self.env, self.kind, start), (self.twin, self.twin_kind, moved)):
            env.reset()
            kind.place(at)

    def parted(self, obs):
        other = self.twin_kind.observation()
        return np.max(np.abs(obs - other) / np.maximum(1, np.abs(obs))) > PARTED

    def record(self, start, hold=1, reach=1.2, n_steps=10**6, seed=None):
        """One episode; returns where to go on from when it was cut, else None."""
        if seed is None:
            seed = 1000 * len(self.episodes) + sum(map(ord, self.name))
        actions = Actions(self.env, seed, hold, reach)
        self.begin(start)
        first, steps, end, go_on = self.kind.observation(), [], (False, False), start
        while len(steps) < n_steps and not any(end):
            action = actions.next()
            obs, reward, *flags, _ = self.env.step(action)
            twin_flags = self.twin.step(action)[2:4]
            self.kind.check(obs)
            exact = self.kind.observation()
            if self.parted(exact) or list(twin_flags) != flags:
                break
            end, go_on = flags, self.kind.start()
            steps.append((float(reward), exact))
        if steps:
            self.episodes.append(dict(steps=steps, seed=seed, hold=hold, reach=float(np.float32(reach)),
                                      end=end, start=start, first=first))
        return None if any(end) else go_on

    def ends(self, start):
        """Whether the first step from there terminates, or would if it were asked to."""
        self.env.reset()
        self.kind.place(start)
        terminated = self.env.step(Actions(self.env, 0, 1, 0).next())[2]
        return terminated or not getattr(self.env.unwrapped, "is_healthy", True)

    def bracket(self, inside, outside, grid=np.float64):
        """Two episodes of one step, 1e-9 (or one float32) apart, one of which is unhealthy."""
        inside, outside = (np.asarray(x, dtype=np.float64) for x in (inside, outside))
        if self.ends(inside) or not self.ends(outside):
            return    # no limit of these options is between them
        while np.max(np.abs(outside - inside)) > 1e-9:
            middle = grid((inside + outside) / 2).astype(np.float64)
            if np.array_equal(middle, inside) or np.array_equal(middle, outside):
                break
            if self.ends(middle):
                outside = middle
            else:
                inside = middle
        for start in (inside, outside):
            self.record(start, reach=0, n_steps=1, seed=0)

    def total(self):
        return sum(len(e["steps"]) for e in self.episodes)

    def write(self, suffix=""):
        n_choices, n_act = shape_of(self.env)
        n_obs = self.episodes[0]["first"].size
        numbers = [n_obs, n_act, n_choices, self.kind.nq, self.kind.nv, REWARD_TOLERANCE,
                   len(self.episodes)]
        for i, e in enumerate(self.episodes):
            n = len(e["steps"])
            shows = i < (3 if n_obs <= 30 else 2) or n_obs <= 30 and i % 20 == 0
            head, stride = (20 if n_obs <= 30 else 2, 25) if shows else (0, 0)
            numbers += [n, e["seed"], e["hold"], e["reach"], head, stride, *e["end"], *e["start"]]
            rows = [(0, e["first"])] + e["steps"]
            for reward, obs in rows:
                numbers += [reward, checksum(obs)]
            for t, (_, obs) in enumerate(rows):
                last = any(e["end"]) and t >= n - 1
                if shows and (t <= head or t % stride == 0 or last):
                    numbers += list(obs)
        text = f"{self.name}\n{option_line(self.options)}\n".encode().ljust(TEXT_BYTES, b"\n")
        assert len(text) == TEXT_BYTES
        path = os.path.join(HERE, f"env_{self.name}{suffix}.bin")
        with open(path, "wb") as fp:
            fp.write(text + struct.pack(f"<{len(numbers)}d", *map(float, numbers)))
        ends = [e["end"] for e in self.episodes]
        print(f"{os.path.basename(path):60} {os.path.getsize(path):7} bytes {self.total():5} steps "
              f"{len(ends):3} episodes {sum(x[0] for x in ends):3} terminated "
              f"{sum(x[1] for x in ends):3} truncated", flush=True)


def option_line(options):
    def text(value):
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (tuple, list)):
            return "[" + ", ".join(map(text, value)) + "]"
        return repr(value)
    return ", ".join(f"{key}: {text(value)}" for key, value in options.items())


def run(name, options=None, suffix="", n_steps=1000, starts=(), seed=0, lines=()):
    """Record one file: the starts named, then resets and goings-on until there are n_steps.

    starts  pairs of a start (or a seed of a reset) and the keywords of Recorder.record
    lines   arguments of Recorder.bracket
    """
    recorder = Recorder(name, options or {})
    high = 1.0 if shape_of(recorder.env)[0] else float(recorder.env.action_space.high[0])
    for start, keywords in starts:
        if isinstance(start, int):
            start = recorder.reset_start(start)
        recorder.record(np.asarray(start, dtype=np.float64), **keywords)
    for line in lines:
        recorder.bracket(*line)
    holds, start = (1, 1, 12, 3), None
    while recorder.total() < n_steps:
        seed += 1
        if start is None or seed % 5 == 0:
            start = recorder.reset_start(seed)
        reach, most = (0.1, 100) if seed % 3 == 0 else (1.2, 10**6)
        start = recorder.record(start, hold=holds[seed % len(holds)], reach=reach * high,
                                n_steps=min(most, n_steps - recorder.total()))
    recorder.write(suffix)
    return recorder


def edges(task):
    """Starts close to where episodes end, and the keywords to record them with."""
    few = dict(n_steps=25)
    if task == "InvertedPendulum":
        calm = dict(reach=0.02)
        return ([([0, angle, 0, 0], calm) for angle in np.linspace(-0.2, 0.2, 12)]
                + [([0.99, 0, 0.4, 0], few), ([0, 0.25, 0, 0], few)])
    if task == "InvertedDoublePendulum":
        calm = dict(reach=0.02)
        return ([([0, a, -a, 0, 0, 0], calm) for a in (1e-3, -0.02, 0.1)]
                + [([0.98, 0.1, -0.1, 4.0, 0, 9.0], few), ([0, 0.6, 0.9, 0, 3, 0], few)])
    if task == "Hopper":
        still = np.zeros(12)
        still[1] = 1.25
        fast = still + np.eye(12)[11] * 101      # a velocity outside healthy_state_range
        tilted = still + np.eye(12)[2] * 0.195 + np.eye(12)[8] * 0.5
        low = still - np.eye(12)[1] * 0.5 + np.eye(12)[3] * -1
        return [(fast, few), (tilted, few), (low, few)]
    if task == "Walker2d":
        still = np.zeros(18)
        still[1] = 1.25
        return [(still + np.eye(18)[1] * 0.74 + np.eye(18)[10] * 3, few),     # jumps too high
                (still + np.eye(18)[2] * 0.95 + np.eye(18)[11] * 4, few),
                (still - np.eye(18)[1] * 0.40 + np.eye(18)[2] * 0.6 - np.eye(18)[10] * 4, few)]
    if task == "Ant":
        still = np.zeros(29)
        still[2], still[3] = 0.75, 1
        down = still.copy()
        down[2:7] = [0.32, 0.1, 0.99, 0.02, 0]    # on its back, legs in the air
        down[17] = -2
        return [(still + np.eye(29)[2] * 0.2 + np.eye(29)[17] * 2, few), (down, few),
                (still + np.eye(29)[17] * 5, few)]
    if task == "Humanoid":
        still = np.zeros(47)
        still[2], still[3] = 1.4, 1
        return [(still - np.eye(47)[2] * 0.3 - np.eye(47)[26] * 2, few),
                (still + np.eye(47)[2] * 0.55 + np.eye(47)[26] * 3, few)]
    return []


def limits(task):
    """Lines from a healthy start across each limit of health, for Recorder.bracket."""
    # size of qpos and qvel, and what is not 0 in a still pose
    poses = dict(InvertedPendulum=(4, {}), InvertedDoublePendulum=(6, {}), Hopper=(12, {1: 1.25}),
                 Walker2d=(18, {1: 1.25}), Ant=(29, {2: 0.75, 3: 1}),
                 Humanoid=(47, {2: 1.4, 3: 1}))
    targets = dict(InvertedPendulum=[(1, 0.5), (1, -0.5)], InvertedDoublePendulum=[(1, 2.0)],
                   Hopper=[(1, 0.4), (1, 1.5), (2, 0.5), (2, -0.5), (5, 4.8), (8, 150), (11, -150)],
                   Walker2d=[(1, 0.3), (1, 2.5), (2, 1.5), (2, -1.5)],
                   Ant=[(2, 1.5)], Humanoid=[(2, 0.5), (2, 2.5)])
    if task not in poses:
        return []
    size, pose = poses[task]
    still = np.zeros(size)
    for i, value in pose.items():
        still[i] = value
    lines = [(still, np.where(np.arange(size) == i, value, still)) for i, value in targets[task]]
    if task == "Ant":    # falling on its back: its legs would push it up
        lines.append([np.concatenate([[0, 0, z, 0.1, 0.99, 0.02, 0], np.zeros(10), [speed],
                                      np.zeros(11)]) for z, speed in ((0.6, 0), (0.2, -20))])
    return lines


def mujoco_tasks():
    for version in ("v5", "v4"):
        for task in ("InvertedPendulum", "InvertedDoublePendulum", "Reacher", "Pusher", "Swimmer",
                     "HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid", "HumanoidStandup"):
            if (task, version) == ("Pusher", "v4"):    # refuses to run on MuJoCo 3
                continue
            calm = dict(Swimmer=(0, dict(hold=10, reach=0.8)),    # these reach the limit of 1000
                        HalfCheetah=(0, dict(hold=5, reach=0.2))).get(task)
            starts = [calm] if calm else edges(task)
            run(f"{task}-{version}", starts=starts, n_steps=1600 if calm else 1000,
                lines=limits(task))


def mujoco_variants():
    def variant(name, suffix, n_steps=300, **options):
        task = name.split("-")[0]
        run(name, options, "_" + suffix, n_steps, edges(task), seed=51, lines=limits(task))

    variant("InvertedPendulum-v5", "frame_skip", frame_skip=4)
    variant("InvertedDoublePendulum-v5", "reward", healthy_reward=3.5, frame_skip=3)
    variant("Reacher-v5", "weights", reward_dist_weight=2.5, reward_control_weight=0.3,
            frame_skip=3)
    variant("Pusher-v5", "weights", reward_near_weight=0.7, reward_dist_weight=1.5,
            reward_control_weight=0.2, frame_skip=4)
    variant("Swimmer-v5", "weights", forward_reward_weight=2.5, ctrl_cost_weight=0.01,
            exclude_current_positions_from_observation=False, frame_skip=6)
    variant("Swimmer-v4", "weights", forward_reward_weight=0.5, ctrl_cost_weight=0.02,
            exclude_current_positions_from_observation=False)
    variant("HalfCheetah-v5", "weights", forward_reward_weight=2.0, ctrl_cost_weight=0.3,
            exclude_current_positions_from_observation=False, frame_skip=3)
    variant("HalfCheetah-v4", "weights", forward_reward_weight=2.0, ctrl_cost_weight=0.3,
            exclude_current_positions_from_observation=False)
    variant("Hopper-v5", "unhealthy", terminate_when_unhealthy=False, healthy_reward=2.0)
    variant("Hopper-v5", "ranges", healthy_z_range=[1.1, 1.3], healthy_angle_range=[-0.1, 0.15],
            healthy_state_range=[-4.0, 5.0], forward_reward_weight=1.5, ctrl_cost_weight=0.02,
            exclude_current_positions_from_observation=False, frame_skip=2)
    variant("Hopper-v4", "unhealthy", terminate_when_unhealthy=False, healthy_reward=2.0,
            exclude_current_positions_from_observation=False, healthy_state_range=[-4.0, 5.0],
            forward_reward_weight=1.5, ctrl_cost_weight=0.02)
    variant("Walker2d-v5", "unhealthy", terminate_when_unhealthy=False, healthy_reward=2.0,
            exclude_current_positions_from_observation=False, frame_skip=5)
    variant("Walker2d-v5", "ranges", healthy_z_range=[1.1, 1.4], healthy_angle_range=[-0.2, 0.3],
            forward_reward_weight=1.5, ctrl_cost_weight=0.02)
    variant("Walker2d-v4", "unhealthy", terminate_when_unhealthy=False, healthy_reward=2.0,
            healthy_z_range=[1.1, 1.4], healthy_angle_range=[-0.2, 0.3],
            exclude_current_positions_from_observation=False, forward_reward_weight=1.5,
            ctrl_cost_weight=0.02)
    variant("Ant-v5", "bare", include_cfrc_ext_in_observation=False,
            exclude_current_positions_from_observation=False, forward_reward_weight=2.0)
    variant("Ant-v5", "contact", contact_force_range=[-0.4, 2.5], contact_cost_weight=0.01,
            ctrl_cost_weight=0.1, healthy_reward=0.5, frame_skip=3, main_body=3)
    variant("Ant-v5", "unhealthy", terminate_when_unhealthy=False, healthy_z_range=[0.5, 0.8])
    variant("Ant-v4", "contact", use_contact_forces=True, contact_cost_weight=0.01,
            contact_force_range=[-2.0, 1.5])
    variant("Ant-v4", "unhealthy", terminate_when_unhealthy=False, healthy_z_range=[0.5, 0.8],
            healthy_reward=0.7, ctrl_cost_weight=0.2,
            exclude_current_positions_from_observation=False)
    variant("Humanoid-v5", "bare", 200, include_cinert_in_observation=False,
            include_cvel_in_observation=False, include_qfrc_actuator_in_observation=False)
    variant("Humanoid-v5", "no_contact", 200, include_cfrc_ext_in_observation=False,
            exclude_current_positions_from_observation=False, contact_cost_weight=1e-3,
            contact_cost_range=[0.5, 4.0], frame_skip=4)
    variant("Humanoid-v5", "unhealthy", 200, terminate_when_unhealthy=False,
            healthy_z_range=[1.2, 1.45], healthy_reward=2.0, forward_reward_weight=0.5,
            ctrl_cost_weight=0.3)
    variant("Humanoid-v4", "unhealthy", 200, terminate_when_unhealthy=False,
            exclude_current_positions_from_observation=False, healthy_z_range=[1.2, 1.45],
            healthy_reward=2.0, forward_reward_weight=0.5, ctrl_cost_weight=0.3)
    variant("HumanoidStandup-v5", "weights", 200, ctrl_cost_weight=0.5, impact_cost_weight=1e-4,
            impact_cost_range=[0.1, 2.0], uph_cost_weight=3.0, frame_skip=3,
            include_cvel_in_observation=False, include_cinert_in_observation=False,
            exclude_current_positions_from_observation=False)
    variant("HumanoidStandup-v5", "bare", 100, include_qfrc_actuator_in_observation=False,
            include_cfrc_ext_in_observation=False)


def both_ends():
    """An episode whose last step both terminates and meets the time limit."""
    start = 3, dict(hold=2)
    episode = Recorder("Hopper-v5", {})
    episode.record(episode.reset_start(3), **start[1])
    assert episode.episodes[0]["end"] == [True, False]
    limit = len(episode.episodes[0]["steps"])
    recorder = run("Hopper-v5", dict(max_episode_steps=limit), "_limit", 100, [start])
    assert recorder.episodes[0]["end"] == [True, True]


def classic_tasks():
    def moving(low, high, n, seed):
        return np.random.default_rng(seed).uniform(low, high, (n, len(low)))

    cart = [(s, {}) for s in moving([-2.4, -2, -0.2, -1], [2.4, 2, 0.2, 1], 30, 1)]
    centre = np.zeros(4)
    run("CartPole-v1", starts=cart + [([2.5, 0, 0, 0], {})],
        lines=[(centre, [x, 0, 0, 0]) for x in (3, -3)]
        + [(centre, [0, 0, angle, 0]) for angle in (0.4, -0.4)])
    run("CartPole-v1", dict(sutton_barto_reward=True), "_sutton", 300, cart)

    spin = [(s, dict(reach=4.0, hold=20)) for s in moving([-20, -8], [20, 8], 3, 2)]
    spin += [([-3.0, 7.9], dict(reach=2.4, hold=3))]
    run("Pendulum-v1", starts=spin)
    run("Pendulum-v1", dict(g=9.81), "_g", 300, spin)

    def car(p, v, **keywords):
        return np.float32([p, v]).astype(np.float64), keywords
    cars = [car(-0.5, 0.0, hold=1000, reach=0.5), car(0.3, 0.06), car(0.4, 0.03, reach=3.0),
            car(-1.19, -0.07, n_steps=40), car(0.44, 0.0699, hold=2), car(0.44, 0.001, reach=0.1),
            ([-0.45123456789, 0.0], dict(reach=0.9, n_steps=60)),      # float64, after a reset
            ([-0.55123456789, 0.0], dict(reach=4.0, hold=9, n_steps=200))]
    goal = [([0.3, 0.06], [0.5, 0.06]), ([0.5, -0.05], [0.5, 0.05])]
    goal += [(*line, np.float32) for line in goal]
    run("MountainCarContinuous-v0", starts=cars, n_steps=1400, lines=goal)
    run("MountainCarContinuous-v0", dict(goal_velocity=0.02), "_goal", 200, cars[1:6], lines=goal)

    links = [([0.05, 0.02, -0.03, 0.0], dict(hold=1000))]
    links += [(s, dict(hold=2, n_steps=40))
              for s in moving([-3.1, -3.1, -9, -20], [3.1, 3.1, 9, 20], 20, 4)]
    run("Acrobot-v1", starts=links, n_steps=1300,
        lines=[([2.0, 0, 0, 0], [3.1, 0, 0, 0]), ([0, 0.1, 0, 0], [3, 0, 0.5, 0.5])])


def main():
    warnings.filterwarnings("ignore")
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    for name in sorted(os.listdir(HERE)):
        if name.startswith("env_") and name.endswith(".bin"):
            os.remove(os.path.join(HERE, name))
    classic_tasks()
    mujoco_tasks()
    mujoco_variants()
    both_ends()


if __name__ == "__main__":
    main()
