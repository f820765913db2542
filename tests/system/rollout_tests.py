"""Environments and what they do: `shoal envs` and `shoal rollout`."""
import csv
import json
import math
import os
import re
import resource
import shutil
import signal
import statistics
import struct
import subprocess
import time
from pathlib import Path

from harness import (BAD_IO, CONFIG, FAST, INTERRUPTED, PENDULUM, PLUGINS, SHOAL, SLOWER, USAGE, assert_says, call,
                     call_well, shoal, started, test, wait_for)
from run_directory import npy, read_npz, table, write_npz

SIMULATED = ["obs", "action", "reward", "terminated", "truncated", "next_obs", "qpos", "qvel", "next_qpos", "next_qvel"]
COMPUTED = [*SIMULATED[:6], "state", "next_state"]


def roll_out(*args):
    """The arrays of a rollout to out.npz, and its summary."""
    told = json.loads(call_well("rollout", *args, "--out", "out.npz", "--json"))
    return read_npz("out.npz"), told


def rows(array):
    """Lists of the numbers in every row."""
    _, shape, values = array
    width = math.prod(shape[1:])
    return [values[i * width:(i + 1) * width] for i in range(shape[0])]


@test()
def envs_lists_every_environment():
    began = time.monotonic()
    listed = json.loads(call_well("envs", "--json"))
    assert time.monotonic() - began < 1 * SLOWER, "it is not quick"
    names = [e["name"] for e in listed]
    assert {"Pendulum-v1", "InvertedPendulum-v5", "InvertedPendulum-v4"} <= set(names) and len(set(names)) == len(names)
    assert not [e for e in listed if "error" in e], listed
    pendulum, = (e for e in listed if e["name"] == "Pendulum-v1")
    expected = {"kind": "built in", "observations": 3, "actions": 1, "choices": 0, "low": [-2], "high": [2],
                "limit": 200, "seconds_per_step": 0.05, "mujoco": False}
    assert {k: pendulum[k] for k in expected} == expected, pendulum
    assert pendulum["options"][0]["name"] == "max_episode_steps" and pendulum["options"][0]["default"] == "0"
    lines = call_well("envs").splitlines()
    assert [line.split()[0] for line in lines] == ["name", *names]
    assert re.search(r"3  1 in \[-2, 2\] +200 +0.05  -$", [n for n in lines if n.startswith("Pendulum-v1")][0])
    assert all(line.endswith("MuJoCo") for line in lines if line.startswith("InvertedPendulum"))
    simulated = json.loads(call_well("envs", "InvertedPendulum-v5", "--json"))
    assert simulated in listed and simulated["mujoco"]
    assert "1e300" not in call_well("envs", "Hopper-v5")
    text = call_well("envs", "InvertedPendulum-v5")
    assert all(re.search(rf"(?m)^  {o['name']}: \S+ +# {re.escape(o['help'])}", text) for o in simulated["options"])


@test()
def envs_lists_what_does_not_open_with_the_reason():
    nowhere = {"SHOAL_MODELS": "/nowhere"}
    Path("tasks").mkdir()
    Path("tasks/broken.yaml").write_text("[")
    Path("tasks/libbroken.so").write_text("no library")
    Path("tasks/readme.txt").write_text("nothing")
    status, out, _ = call("envs", "--env-path", "tasks", env=nowhere)
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert status == 0 and "broken.yaml" in lines and "broken" in lines and "readme" not in out, out
    assert "/nowhere/inverted_pendulum.xml" in lines["InvertedPendulum-v5"]
    assert re.search("200 +0.05", lines["Pendulum-v1"]), "the rest are not listed"
    listed = json.loads(call("envs", "--env-path", "tasks", "--json", env=nowhere)[1])
    assert {e["name"] for e in listed if "error" in e} >= {"broken", "broken.yaml", "InvertedPendulum-v5"}
    Path(os.fsdecode(b"tasks/\xff\xe4.yaml")).write_text("[")
    listed = json.loads(call("envs", "--env-path", "tasks", "--json", env=nowhere)[1])
    assert "\\xff\\xe4.yaml" in {e["name"] for e in listed if "error" in e}, "a name that is not UTF-8"
    status, out, err = call("envs", "InvertedPendulum-v5", env=nowhere)
    assert status == CONFIG and "reset_noise_scale" in out and "make deps" in err and err.count("\n") == 1


@test()
def rollout_writes_transitions():
    for name, columns, widths in (("Pendulum-v1", COMPUTED, {"obs": 3, "action": 1, "state": 2}),
                                  ("InvertedPendulum-v5", SIMULATED, {"obs": 4, "action": 1, "qpos": 2, "qvel": 2})):
        n = 450
        arrays, told = roll_out(name, "--steps", n, "--seed", 3)
        assert list(arrays) == columns, arrays.keys()
        for column, (dtype, shape, values) in arrays.items():
            width = widths.get(column.removeprefix("next_"))
            assert shape == ((n, width) if width else (n,)), f"{column} is {shape}"
            assert dtype == ("|b1" if column in ("terminated", "truncated") else "<f8")
            assert all(map(math.isfinite, values))
        a = {column: rows(array) for column, array in arrays.items()}
        ends = [i for i in range(n) if a["terminated"][i][0] or a["truncated"][i][0]]
        assert told["steps"] == n and told["episodes"] == len(ends) > 1 and told["diverged"] == 0
        for i in range(n - 1):
            for column in set(columns) & {"obs", "qpos", "qvel", "state"}:
                follows = a["next_" + column][i] == a[column][i + 1]
                assert follows == (i not in ends), f"{name}: {column} of row {i + 1}"
        returns, total = [], 0
        for i in range(n):
            total += a["reward"][i][0]
            if i in ends:
                returns.append(total)
                total = 0
        assert abs(statistics.mean(returns) - told["return_mean"]) < 1e-4
        assert min(v for v, in a["action"]) < -1.5 and max(v for v, in a["action"]) > 1.5
        assert all(struct.unpack("f", struct.pack("f", v))[0] == v for v, in a["action"])
        again, _ = roll_out(name, "--steps", n, "--seed", 3)
        assert again == arrays, f"{name}: it does not repeat"
        other, _ = roll_out(name, "--steps", n, "--seed", 4)
        assert other["obs"] != arrays["obs"] and other["action"] != arrays["action"]
        call_well("rollout", name, "--steps", n, "--seed", 3, "--out", "out.csv")
        header = [c for c, (_, shape, _) in arrays.items()
                  for c in ([f"{c}_{j}" for j in range(shape[1])] if shape[1:] else [c])]
        lines = list(csv.reader(Path("out.csv").read_text().splitlines()))
        assert lines[0] == header and len(lines) == 1 + n
        for i, line in enumerate(lines[1:]):
            assert [float(v) for v in line] == [v for c in columns for v in a[c][i]], f"{name}: line {i} of the CSV"


@test()
def rollout_takes_actions_and_a_start_from_files():
    actions = [0.1, -1.7, 5.25, -0.0, 3e-9]    # one beyond the bounds
    exact = list(struct.unpack("5f", struct.pack("5f", *actions)))
    for shape, dtype in (((5, 1), "<f4"), ((5,), "<f8")):
        Path("a.npy").write_bytes(npy(actions, shape, dtype))
        arrays, _ = roll_out("Pendulum-v1", "--policy", "a.npy")
        assert arrays["action"] == ("<f8", (5, 1), exact), arrays["action"]
    assert roll_out("Pendulum-v1", "--policy", "a.npy", "--steps", 3)[0]["action"][2] == exact[:3]
    arrays, _ = roll_out("Pendulum-v1", "--policy", "zero", "--steps", 4)
    assert arrays["action"][2] == [0] * 4
    write_npz("start.npz", qpos=[0.05, -0.1], qvel=[0.2, 0.3])
    arrays, _ = roll_out("InvertedPendulum-v5", "--state", "start.npz", "--steps", 200)
    assert rows(arrays["obs"])[0] == [0.05, -0.1, 0.2, 0.3]
    assert (rows(arrays["qpos"])[0], rows(arrays["qvel"])[0]) == ([0.05, -0.1], [0.2, 0.3])
    ends = [i for i, end in enumerate(arrays["terminated"][2]) if end]
    start, _ = roll_out("InvertedPendulum-v5", "--steps", 1)
    assert rows(arrays["obs"])[ends[0] + 1] == rows(start["obs"])[0], "then the seed's first start"
    write_npz("state.npz", state=[0.5, -1])
    write_npz("fast.npz", qpos=[0.05, -0.1], qvel=[0, 1e12])
    arrays, told = roll_out("InvertedPendulum-v5", "--state", "fast.npz", "--steps", 2)
    assert told["diverged"] == 1 and arrays["truncated"][2] == [True, False]
    for column in "obs", "qpos", "qvel":
        assert rows(arrays[column])[0] == rows(arrays["next_" + column])[0], f"{column} of what broke down"
    arrays, _ = roll_out("Pendulum-v1", "--state", "state.npz", "--steps", 2)
    assert rows(arrays["state"])[0] == [0.5, -1] and rows(arrays["obs"])[0] == [math.cos(0.5), math.sin(0.5), -1]


@test()
def rollout_plays_runs_and_options():
    arrays, told = roll_out("Pendulum-v1", "--steps", 30, "env.max_episode_steps=7")
    assert [i for i, end in enumerate(arrays["truncated"][2]) if end] == [6, 13, 20, 27] and told["episodes"] == 4
    call_well("train", PENDULUM, *FAST, "total_steps=600", "env.max_episode_steps=50", "--run", "run")
    mean, told = roll_out("run", "--steps", 120)
    assert told["episodes"] == 2, "the run's own options"
    assert mean == roll_out("run", "--steps", 120)[0]
    sampled, _ = roll_out("run", "--steps", 120, "--stochastic")
    assert rows(sampled["obs"])[0] == rows(mean["obs"])[0] and sampled["action"] != mean["action"]
    write_npz("state.npz", state=rows(mean["state"])[5])
    from_there, _ = roll_out("run", "--steps", 40, "--state", "state.npz")
    assert rows(from_there["action"]) == rows(mean["action"])[5:45]
    shutil.copytree("run", "copy")
    call_well("train", PENDULUM, *FAST, "seed=2", "total_steps=300", "env.max_episode_steps=50", "--run", "other")
    shutil.copy("other/checkpoint/policy.safetensors", "copy/best/policy.safetensors")
    assert roll_out("copy", "--steps", 120, "--best")[0] == roll_out("other", "--steps", 120)[0] != mean
    assert roll_out("run", "--steps", 9, "--policy", "random", "env.max_episode_steps=3")[1]["episodes"] == 3
    Path("a.npy").write_bytes(npy(mean["action"][2], (120, 1)))
    assert roll_out("run", "--policy", "a.npy")[0] == mean, "the actions given back do not repeat it"


@test()
def rollout_keeps_what_there_is_or_leaves_nothing():
    for file in "out.npz", "out.csv":
        process = shoal("rollout", "InvertedPendulum-v5", "--steps", 10**9, "--out", file)
        written = Path(f"/proc/{process.pid}/io")
        wait_for("some steps", lambda: int(re.search(r"wchar: (\d+)", written.read_text())[1]) > 100000)
        process.send_signal(signal.SIGINT)
        process.ends_with(INTERRUPTED)
        n, = map(int, re.findall(r"interrupted; \S+ holds the (\d+) steps", process.output()))
        assert re.search(rf"(?m)^InvertedPendulum-v5: {n} steps, ", process.output())
        found = len(table(file)) if file == "out.csv" else read_npz(file)["obs"][1][0]
        assert found == n > 0

        def no_room():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        full = f"full.{file}"
        done = subprocess.run([SHOAL, "rollout", "Pendulum-v1", "--steps", "100000", "--out", full],
                              capture_output=True, text=True, preexec_fn=no_room, restore_signals=False)
        assert done.returncode == BAD_IO and "File too large" in done.stderr and not done.stdout, done
    assert {p.name for p in Path().iterdir()} <= {"out.npz", "out.csv", *(p.output_path.name for p in started)}


@test()
def rollout_of_an_environment_that_ends_the_process_says_so():
    env = {"SHOAL_ENV_PATH": PLUGINS}
    status, out, err = call("rollout", "crash", "--steps", 100, "--out", "out.npz", "env.after=40", "env.how=2", env=env)
    assert status == 69 and not out and not Path("out.npz").exists(), f"{status} {out}"
    assert err == ("shoal rollout: exit() was called while stepping environment crash: episode 0, step 41 of its episode, "
                   "after 40 transitions of this process\n"), err
    _, _, err = call("rollout", "crash", "--steps", 200, "--out", "out.npz", "env.after=140", env=env)
    assert_says(err, r"shoal rollout: crashed with signal 11 .* while stepping environment crash: episode 1, step 41 of")


@test()
def rollout_errors_are_clear():
    Path("two.npy").write_bytes(npy([0.0] * 6, (3, 2)))
    Path("nan.npy").write_bytes(npy([0.0, math.nan], (2, 1)))
    Path("one.npy").write_bytes(npy([0.0] * 3, (3, 1)))
    Path("directory.npz").mkdir()
    write_npz("long.npz", state=[1, 2, 3])
    write_npz("short.npz", qpos=[1], qvel=[1, 2])
    write_npz("other.npz", x=[1])
    call_well("rollout", "Pendulum-v1", "--steps", 2, "--out", "rows.npz")
    to = ["--steps", "5", "--out", "x.npz"]
    cases = [
        (["Pendulm-v1", *to], CONFIG, ['"Pendulm-v1"', 'did you mean "Pendulum-v1"']),
        (["Pendulum-v1", *to, "env.max_episode_stebs=3"], CONFIG, ['"max_episode_stebs"', '"max_episode_steps"']),
        (["Pendulum-v1", *to, "env.max_episode_steps=few"], CONFIG, ["env.max_episode_steps=few", "an integer from 0"]),
        (["Pendulum-v1", *to, "seed=3"], USAGE, ['"seed=3"', "env.option=value"]),
        (["Pendulum-v1", *to, "--policy", "two.npy"], CONFIG, ["two.npy holds [3,2]", "[steps][1]"]),
        (["Pendulum-v1", *to, "--policy", "one.npy"], CONFIG, ["one.npy holds 3 actions", "5 steps"]),
        (["Pendulum-v1", "--out", "x.npz", "--policy", "nan.npy"], CONFIG, ["nan.npy: number 0 of action 1", "finite"]),
        (["Pendulum-v1", *to, "--policy", "nowhere.npy"], BAD_IO, ["nowhere.npy", "No such file"]),
        (["Pendulum-v1", *to, "--policy", "randm"], USAGE, ['"randm"', "random, zero", ".npy"]),
        (["Pendulum-v1", *to, "--state", "long.npz"], CONFIG, ["long.npz: Pendulum-v1 has 2 numbers", "state, not 3"]),
        (["Pendulum-v1", *to, "--state", "rows.npz"], CONFIG, ["rows.npz: state is [2,2]", "one state"]),
        (["Pendulum-v1", *to, "--state", "nowhere.npz"], BAD_IO, ["nowhere.npz", "No such file"]),
        (["Pendulum-v1", *to, "--state", "short.npz"], CONFIG, ["short.npz: Pendulum-v1 has no qpos"]),
        (["InvertedPendulum-v5", *to, "--state", "short.npz"], CONFIG, ["short.npz", "2 numbers in its qpos, not 1"]),
        (["InvertedPendulum-v5", *to, "--state", "other.npz"], CONFIG, ["other.npz holds no start", "qpos and qvel"]),
        (["Pendulum-v1", *to, "--best"], USAGE, ["--best", "Pendulum-v1 is an environment"]),
        (["runs/none", *to], CONFIG, ["runs/none holds no run", "runs/none/config.yaml"]),
        (["Pendulum-v1", "--out", "x.npz"], USAGE, ["--steps N"]),
        (["Pendulum-v1", "--steps", "5"], USAGE, ["--out FILE"]),
        (["Pendulum-v1", "--steps", "5", "--out", "x.txt"], USAGE, ['"x.txt"', ".npz or .csv"]),
        (["Pendulum-v1", "--steps", "5", "--out", "nowhere/x.npz"], BAD_IO, ["nowhere/x.npz", "No such file"]),
        (["Pendulum-v1", "--steps", "5", "--out", "nowhere/x.csv"], BAD_IO, ["nowhere/x.csv", "No such file"]),
        (["Pendulum-v1", "--steps", "5", "--out", "directory.npz"], BAD_IO, ["directory.npz", "is a directory"]),
        (["Pendulum-v1", *to, "--env-path", "/tmp:nowhere"], CONFIG, ["--env-path", '"nowhere"']),
        (["InvertedPendulum-v5", *to], CONFIG, ["/nowhere/inverted_pendulum.xml", "make deps"]),
    ]
    wrong = []
    for args, expected, fragments in cases:
        status, out, err = call("rollout", *args, env={"SHOAL_MODELS": "/nowhere"} if fragments[0][0] == "/" else {})
        missing = [f for f in fragments if f not in err]
        if status != expected or missing or out or err.count("\n") != 1:
            wrong.append(f"shoal rollout {' '.join(args)}: status {status} (expected {expected}), "
                         f"lacks {missing}: {err}{out}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert not list(Path().glob("x.*")), "a refused command left a file"
