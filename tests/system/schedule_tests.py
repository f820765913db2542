"""Schedules: runs in rounds that repeat, reruns of the others, simulations of both."""
import math
import os
import re
import signal
import time
from pathlib import Path

from harness import (BAD_DATA, CARTPOLE, CONFIG, DIVERGED, FAST, INTERRUPTED, INVERTED_PENDULUM, PENDULUM, ROOT, USAGE,
                     assert_says, call, call_well, children, free_port, shoal, test, train, wait_for)
from run_directory import assert_complete, column, env_steps, fragments, schedule, summary, table

# ---- in rounds ----

@test(60)
def sync_repeats_bit_for_bit():
    sync = [*FAST, "mode=sync", "seed=3", "total_steps=1000"]

    def by_hand(config, run):
        """Slow actors, each at its own pace, joined in any order."""
        endpoint = f"ipc://{Path('socket').resolve()}"
        actors = [shoal("actor", "--learner", endpoint, "--delay-ms", 3) for _ in range(3)]
        learner = shoal("learner", config, *sync, "actors=3", "--bind", endpoint, "--run", run)
        for process in learner, *actors:
            process.ends_with(0)

    def results(run):
        return {"hashes": Path(run, "hashes.csv").read_bytes(),
                "policy": Path(run, "checkpoint/policy.safetensors").read_bytes(),
                "evaluations": [(r["env_steps"], r["mean"], r["std"]) for r in table(f"{run}/eval.csv")]}

    for config in INVERTED_PENDULUM, PENDULUM:
        name = Path(config).stem
        for i, shape in enumerate([(1, 3), (1, 3), (3, 1)]):
            call_well("train", config, *sync, f"actors={shape[0]}", f"envs_per_actor={shape[1]}",
                      "--run", f"{name}-{i}")
        by_hand(config, f"{name}-3")
        expected = results(f"{name}-0")
        assert len(table(f"{name}-0/hashes.csv")) >= 16
        for i in range(1, 4):
            for what, value in results(f"{name}-{i}").items():
                assert value == expected[what], f"{name}: {what} of run {i} differ from those of run 0"


@test(60)
def others_stand_in_for_a_killed_actor_and_nothing_changes():
    args = [*FAST, "mode=pipelined", "seed=4", "envs_per_actor=2", "actors=2", "total_steps=2000", "sync.takeover_s=0.3",
            "transport.heartbeat_ms=100", "transport.liveness_ms=500"]
    call_well("train", PENDULUM, *args, "--run", "calm")
    endpoint = f"ipc://{Path('socket').resolve()}"

    def actor(name):
        return shoal("actor", "--learner", endpoint, "--name", name, "--delay-ms", 3)
    learner = shoal("learner", PENDULUM, *args, "--bind", endpoint, "--run", "run")
    one, other = actor("one"), actor("other")
    wait_for("the first rounds", lambda: env_steps("run") >= 300)
    other.kill()
    learner.says("others step 2 streams for it")
    before = env_steps("run")
    wait_for("rounds without it", lambda: env_steps("run") >= before + 200)
    other = actor("other")
    learner.says("actor other is back and gets its 2 streams")
    for process in learner, one, other:
        process.ends_with(0, 30)
    for name in "hashes.csv", "checkpoint/policy.safetensors":
        assert Path("run", name).read_bytes() == Path("calm", name).read_bytes(), f"{name} is another one"


# ---- runs again, from their schedules ----

def rerun(run, *args):
    """Repeat a run: what it says, when every hash is equal and none is left out."""
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in Path(run).rglob("*")}
    out = call_well("rerun", run, *args, "--out", "reached.csv")
    assert Path("reached.csv").read_text() == (Path(run) / "hashes.csv").read_text()
    assert f"{run}: {len(table('reached.csv'))} hash" in out and "could not be compared" not in out, out
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in Path(run).rglob("*")}, "it wrote into the run"
    return out


@test(60)
def gradients_of_three_actors_one_of_which_is_killed():
    """A3C by hand: every transition counts once, nobody waits for the dead one, and checkpoints are gone on from."""
    endpoint, total = f"tcp://127.0.0.1:{free_port()}", 20000
    config = ROOT / "configs/a2c/cartpole.yaml"
    a3c = ["preset=a3c", "actors=3", "envs_per_actor=2", f"total_steps={total}", "eval.every=10000", "eval.episodes=2",
           "metrics.hash_every=50", "transport.heartbeat_ms=100", "transport.liveness_ms=500", "metrics.every_s=0.1"]

    def actor():
        return shoal("actor", "--learner", endpoint, "--delay-ms", 1)

    actors = [actor() for _ in range(3)]
    learner = shoal("learner", config, *a3c, "--bind", endpoint, "--run", "run")
    for a in actors:
        a.says(r"joined: CartPole-v1, streams \d to \d")
    wait_for("a third of the run", lambda: env_steps("run") > total / 3)
    actors[1].kill()
    actors[1].wait()
    killed_at = env_steps("run")
    wait_for("the others to go on", lambda: env_steps("run") > killed_at + 1000)
    actors[1] = actor()
    actors[1].says("joined: CartPole-v1")
    for process in learner, *actors:
        process.ends_with(0)
    assert_complete("run", total)
    assert summary("run")["updates"] >= total / 10, "a gradient is an update"
    assert max(column("run/metrics.csv", "staleness_max")) > 0
    assert "skipped" not in learner.output()
    rerun("run")

    interrupted = shoal("train", config, *a3c, "total_steps=1000000", "--run", "again")
    wait_for("a tenth of it", lambda: env_steps("again") > 5000)
    interrupted.send_signal(signal.SIGINT)
    interrupted.ends_with(INTERRUPTED)
    stopped_at = summary("again")["env_steps"]
    text = Path("again/config.yaml").read_text().replace("total_steps: 1000000", f"total_steps: {stopped_at + 5000}")
    Path("again/config.yaml").write_text(text)
    call_well("train", "--resume", "again")
    assert_complete("again", stopped_at + 5000)
    assert "2 learners" in rerun("again")


@test(90)
def rerun_repeats_async_runs_whatever_was_killed():
    for run, config, *overrides in (("sac", PENDULUM, "learner.publish_every=3"), ("ppo", CARTPOLE, "actor.horizon=32")):
        supervisor = train(config, run, "mode=async", "actors=3", "total_steps=100000000", "checkpoint.every_s=1",
                           *overrides)
        wait_for("a checkpoint", lambda: Path(run, "checkpoint/policy.safetensors").exists() and env_steps(run) > 2000)
        os.kill(children(supervisor, "actor")[1], signal.SIGKILL)
        supervisor.says("(?s)was killed by signal 9.*actor-1 joined")
        os.kill(children(supervisor, "learner")[0], signal.SIGKILL)
        supervisor.says("(?s)learner was killed.*actor-1 joined")
        reached = env_steps(run)
        wait_for("progress", lambda: env_steps(run) > reached + 2000)
        supervisor.send_signal(signal.SIGINT)
        supervisor.ends_with(INTERRUPTED)
        records = schedule(run)
        assert [r[0] for r in records].count("begin") == 2 and max(r[3] for r in fragments(run)) >= 1
        assert (Path(run) / "schedule.bin").stat().st_size <= 6 * len(records)
        assert "2 learners" in rerun(run)
    for until in 250, 1000:
        out = call_well("rerun", "sac", "--until", until, "--quiet")
        assert f"sac: {until // 50} hashes are equal, up to update {until} and " in out, out


@test(60)
def rerun_repeats_runs_in_rounds_those_that_went_on_and_those_that_stopped_early():
    stop = ["eval.every=500", "eval.stop_at=-2000", "eval.stop_count=2", "total_steps=1000000"]
    call_well("train", PENDULUM, *FAST, "mode=async", *stop, "--run", "async")
    call_well("train", PENDULUM, *FAST, "mode=sync", *stop, "--run", "sync")
    assert summary("async")["status"] == summary("sync")["status"] == "stopped at eval.stop_at"
    call_well("train", PENDULUM, *FAST, "total_steps=1000", "--run", "longer")
    config = Path("longer/config.yaml")
    config.write_text(config.read_text().replace("total_steps: 1000", "total_steps: 2000"))
    call_well("train", "--resume", "longer")
    supervisor = train(CARTPOLE, "interrupted", "mode=async", "total_steps=100000000")
    wait_for("some progress", lambda: env_steps("interrupted") > 20000)
    supervisor.send_signal(signal.SIGINT)
    supervisor.ends_with(INTERRUPTED)
    # Back to checkpoints, wherever they were, and to the start.
    bad = ["sac.q_lr=0.5", "sac.tau=1", "sac.policy_lr=0.3", "sac.alpha_lr=0.02", "sac.gamma=1", "sac.alpha_init=10",
           "sac.target_entropy=0.69", "checkpoint.every_s=1", "total_steps=100000"]
    # Whether enough of them come one upon the other to end the run is a matter of timing.
    status, out, err = call("train", PENDULUM, *FAST, "mode=async", *bad, "--run", "diverged")
    assert status in (0, DIVERGED), f"{status} {err}"
    n_returns = len([r for r in schedule("diverged") if r[0] == "return"])
    assert n_returns >= 3, f"{n_returns} returns: {err}"
    for run in "async", "sync", "longer", "interrupted", "diverged":
        rerun(run)


@test(90)
def rerun_repeats_every_algorithm():
    variants = [(name, "pendulum", []) for name in ("ppo", "a2c", "ddpg", "td3", "sac")] + [
        ("sac", "cartpole", []), ("a2c", "cartpole", ["envs_per_actor=3"]),
        ("td3", "pendulum", ["replay.prioritised=true", "replay.n_step=3", "learner.normalise_observations=true",
                             "learner.scale_rewards=true"]),
        ("ppo", "pendulum", ["learner.normalise_observations=true", "learner.scale_rewards=true"])]
    for i, (name, environment, overrides) in enumerate(variants):
        call_well("train", ROOT / f"configs/{name}/{environment}.yaml", *FAST, "mode=async", "actors=2", "total_steps=4000",
                  "actor.horizon=64", "eval.every=0", *overrides, "--run", f"run-{i}")
        rerun(f"run-{i}")


def rerun_repeats_a_minute(run, config, *overrides, n_actors):
    """Of a run without rounds, in the middle of which actors are killed and started again."""
    supervisor = shoal("train", config, f"actors={n_actors}", "total_steps=1000000000", "network.hidden=[32,32]",
                       "metrics.hash_every=20", *overrides, "--run", run)
    for when in 20, 30:
        wait_for("the moment to kill an actor", lambda: seconds_of(run) > when, 60)
        os.kill(children(supervisor, "actor")[1], signal.SIGKILL)
        supervisor.says(f"(?s)(was killed by signal 9.*actor-\\d joined.*){{{1 if when == 20 else 2}}}")
    wait_for("a minute", lambda: seconds_of(run) > 60, 90)
    supervisor.send_signal(signal.SIGINT)
    supervisor.ends_with(INTERRUPTED, 60)
    lives, end = {r[2:4] for r in fragments(run)}, summary(run)
    n_streams = len({stream for stream, _ in lives})
    assert len(lives) > n_streams, "no stream began a new life"
    began = time.monotonic()
    rerun(run)
    print(f"    {run}: {end['time_s']:.0f} s, {n_actors} actors, {end['env_steps']} transitions, {end['updates']} updates, "
          f"{len(lives) - n_streams} new lives: {len(table(f'{run}/hashes.csv'))} hashes are reached again, in "
          f"{time.monotonic() - began:.0f} s", flush=True)


def seconds_of(run):
    """How long it has gone on by metrics.csv, whose last line may be half written."""
    path = Path(run) / "metrics.csv"
    lines = path.read_text().split("\n")[1:-1] if path.exists() else []
    return float(lines[-1].split(",")[0]) if lines else 0


@test(600, is_long=True)
def rerun_repeats_a_minute_of_asynchronous_ppo():
    rerun_repeats_a_minute("ppo", CARTPOLE, "mode=async", "actor.horizon=32", n_actors=4)


@test(600, is_long=True)
def rerun_repeats_a_minute_of_asynchronous_sac():
    rerun_repeats_a_minute("sac", PENDULUM, "mode=async", "learner.batch_size=64", "replay.capacity=50000", n_actors=3)


@test(600, is_long=True)
def rerun_repeats_a_minute_of_a3c():
    rerun_repeats_a_minute("a3c", ROOT / "configs/a2c/cartpole.yaml", "preset=a3c", n_actors=4)


@test(60)
def rerun_says_what_differs_first():
    call_well("train", PENDULUM, *FAST, "mode=async", "learner.backend=openblas", "total_steps=1500", "--run", "run")
    good, hashes = Path("run/schedule.bin").read_bytes(), Path("run/hashes.csv").read_text()
    lines = hashes.splitlines(keepends=True)
    Path("run/hashes.csv").write_text("".join(lines[:4]) + lines[4].replace(lines[4].split(",")[2][:4], "0000") +
                                      "".join(lines[5:]))
    status, out, err = call("rerun", "run", "--quiet")
    update, steps, _ = lines[4].split(",")
    assert status == 1 and not out and err.count("\n") == 1, (status, out, err)
    assert_says(err, f"the parameters differ first behind update {update}, env_steps {steps}: 0000.* there, .* here; 3 hashes "
                     r"were equal until update \d+; machine, libraries and configuration are the run's")
    machine = Path("run/machines.txt").read_text()
    assert_says(machine, "; kernels openblas f32; ")
    Path("run/machines.txt").write_text(re.sub(r"blas [^;]*", "blas OpenBLAS 9", machine))
    assert_says(call("rerun", "run", "--quiet")[2], "blas: OpenBLAS 9 there, OpenBLAS .* here")
    Path("run/machines.txt").write_text(machine)
    Path("run/hashes.csv").write_text(hashes)
    # Damage anywhere among the fragments is told, and is the end of nothing.
    for at in range(len(good) // 4, len(good) - 30, len(good) // 15):
        Path("run/schedule.bin").write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 7]) + good[at + 1:])
        status, out, err = call("rerun", "run", "--quiet")
        assert status in (1, BAD_DATA) and err.count("\n") == 1 and not out, f"byte {at}: status {status}: {err}{out}"
    # As a learner leaves it that was killed.
    Path("run/schedule.bin").write_bytes(good[:len(good) // 2 + 1])
    out = call_well("rerun", "run", "--quiet")
    assert_says(out, r"hashes are equal(.|\n)*hash(es)? behind the end of the schedule could not be compared")
    Path("run/schedule.bin").write_bytes(good[:30])
    cases = [(["run"], BAD_DATA, "run/schedule.bin holds no records"), (["none"], CONFIG, "none holds no run"),
             ([], USAGE, "needs one run directory"), (["run", "--until", "0"], USAGE, "--until")]
    for args, expected, says in cases:
        status, out, err = call("rerun", *args)
        assert status == expected and says in err and not out, (args, status, out, err)
    Path("run/schedule.bin").write_bytes(b"shoal-schedule-1" + good[16:])
    status, _, err = call("rerun", "run")
    assert status == BAD_DATA and "schedule.bin" in err and "this version of shoal" in err, err
    Path("run/schedule.bin").write_bytes(good)
    config = Path("run/config.yaml").read_text()
    Path("run/config.yaml").write_text(config.replace("actors: 2", "actors: 3"))
    status, _, err = call("rerun", "run")
    assert status == BAD_DATA and "config.yaml of others" in err, err
    Path("run/config.yaml").write_text(config.replace("gamma: 0.99", "gamma: 0.98"))
    status, _, err = call("rerun", "run", "--quiet")
    assert status == 1 and "config.yaml was changed" in err, err


# ---- simulation ----

# What goes wrong in a simulation; nothing of it may show in what `sync` learns.
TROUBLE = ["simulate.seed=7", "simulate.loss=0.2", "simulate.retransmit_us=20000", "simulate.fail_s=uniform 0.05 0.5",
           "simulate.restart_s=constant 0.02", "simulate.up_us=lognormal 2000 1", "simulate.speed=pareto 1 2",
           "simulate.update_us=uniform 100 2000"]


@test(60)
def simulated_sync_learns_the_bits_of_a_real_one():
    cases = {"sac": [INVERTED_PENDULUM, *FAST, "mode=sync", "actors=3", "total_steps=1000"],
             "ppo": [str(ROOT / "configs/ppo/cartpole.yaml"), "mode=sync", "actors=4", "envs_per_actor=1",
                     "actor.horizon=64", "total_steps=1500", "metrics.hash_every=10", "eval.every=500"]}
    for name, args in cases.items():
        call_well("train", *args, "--run", f"{name}-real")
        call_well("simulate", *args, "--run", f"{name}-calm")
        call_well("simulate", *args, *TROUBLE, "--run", f"{name}-troubled")
        assert len(table(f"{name}-real/hashes.csv")) > 5
        assert summary(f"{name}-troubled")["failures"] > 0, "nothing failed"
        for run in f"{name}-calm", f"{name}-troubled":
            for file in "hashes.csv", "checkpoint/policy.safetensors":
                assert Path(run, file).read_bytes() == Path(f"{name}-real", file).read_bytes(), f"{run}/{file} differs"
            means = [column(f"{r}/eval.csv", "mean") for r in (run, f"{name}-real")]
            assert means[0] == means[1], f"evaluations of {run} differ"


@test(60)
def simulate_writes_a_run_directory_in_virtual_time_and_repeats_it():
    args = [str(ROOT / "configs/ppo/cartpole.yaml"), "mode=async", "actors=200", "envs_per_actor=1", "actor.horizon=16",
            "ppo.epochs=1", "learner.batch_size=400", "total_steps=40000", "eval.every=20000", "eval.episodes=2",
            "metrics.hash_every=1", *TROUBLE]
    for run, more in ("a", []), ("b", []), ("other", ["simulate.seed=8"]):
        call_well("simulate", *args, *more, "--run", run)
        assert_complete(run, 40000)
    same = "hashes.csv", "schedule.bin", "metrics.csv", "eval.csv", "checkpoint/policy.safetensors"
    for file in same:
        assert Path("a", file).read_bytes() == Path("b", file).read_bytes(), f"{file} differs when it is repeated"
        assert Path("a", file).read_bytes() != Path("other", file).read_bytes(), f"{file} does not depend on the seed"
    end = summary("a")
    assert end["virtual_time"] is True and end["failures"] > 10 and end["collected_steps"] >= 40000
    assert end["events"] > 1000 and end["wall_s"] > 0 and 0 <= end["overhead"] <= 1 and end["staleness_max"] > 0
    assert math.isclose(end["steps_per_s"], 40000 / end["time_s"], rel_tol=1e-6)
    assert len(table("a/metrics.csv")) >= 12 and column("a/metrics.csv", "time_s")[-1] <= end["time_s"] + 0.001
    assert " over 2 episodes (" in call_well("eval", "a", "--episodes", 2)
    assert Path("a/config.yaml").read_text() == call_well("config", args[0], *args[1:])


@test()
def simulate_errors_are_clear():
    Path("trace.txt").write_text("1\nx\n")
    cases = [
        ([], USAGE, ["needs a configuration", "configs/ppo/cartpole.yaml"]),
        (["seed=1"], USAGE, ["configuration file comes before", "seed=1"]),
        ([PENDULUM, "--resume", "run"], USAGE, ["--resume is not possible", "no checkpoint"]),
        ([PENDULUM, "simulate.step_us=constnat 5"], CONFIG, ["simulate.step_us", 'did you mean "constant"']),
        ([PENDULUM, "simulate.up_us=trace trace.txt"], CONFIG, ["simulate.up_us", "trace.txt:2", '"x"']),
        ([PENDULUM, "simulate.loss=1"], CONFIG, ["simulate.loss", "0 to 0.99"]),
        ([PENDULUM, "simulate.staleness=4", "mode=sync"], CONFIG, ["simulate.staleness is 4", "mode: async"]),
        ([PENDULUM, "simulate.staleness=4", "mode=async"], CONFIG, ["learner.publish_every: 1"]),
    ]
    for args, expected, fragments in cases:
        status, out, err = call("simulate", *args)
        missing = [f for f in fragments if f not in err]
        assert status == expected and not missing and not out, f"{args}: status {status}, lacks {missing}: {err}{out}"
    assert not Path("runs").exists(), "a refused command left a run directory"
    assert "shoal simulate configs/" in call_well("simulate", "--help")


@test()
def ctrl_c_ends_a_simulation_cleanly():
    simulation = shoal("simulate", PENDULUM, *FAST, "total_steps=100000000", "--run", "run")
    wait_for("some progress", lambda: env_steps("run") > 1000)
    simulation.send_signal(signal.SIGINT)
    simulation.ends_with(INTERRUPTED)
    assert "cannot go on" in simulation.output()
    assert summary("run")["status"] == "interrupted" and summary("run")["virtual_time"] is True
    assert Path("run/checkpoint/policy.safetensors").exists()
    call_well("plot", "run", "--out", "ended")
    Path("run/summary.json").unlink()
    call_well("plot", "run", "--out", "killed")
    for folder in "ended", "killed":
        assert any("Virtual time" in p.read_text() for p in Path(folder).iterdir()), f"{folder}: time is not virtual"