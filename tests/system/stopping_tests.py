"""Runs that are interrupted or killed, and gone on with."""
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import (BAD_DATA, CONFIG, DIVERGED, FAST, INTERRUPTED, INVERTED_PENDULUM, PENDULUM, ROOT, SLOWER, TEMPORARY, call,
                     call_well, children, living, shoal, test, train, wait_for)
from run_directory import assert_complete, column, env_steps, epoch, fragments, summary, table

# ---- stopping ----

@test()
def ctrl_c_stops_cleanly_and_resume_continues():
    total = 100000 if SLOWER == 1 else 5000
    supervisor = train(INVERTED_PENDULUM, "run", f"total_steps={total}")
    wait_for("some progress", lambda: env_steps("run") > 2000)
    supervisor.send_signal(signal.SIGINT)
    supervisor.ends_with(INTERRUPTED)
    assert not living(os.getpid()), "processes are left"
    assert "steps/s" not in supervisor.output() and "\x1b" not in supervisor.output(), "progress within 10 s"
    assert "shoal train --resume run" in supervisor.output(), "the message does not say how to go on"
    assert Path("run/checkpoint/learner.safetensors").exists()
    stopped = summary("run")
    assert stopped["status"] == "interrupted" and 2000 < stopped["env_steps"] < total
    assert " over 1 episode (" in call_well("eval", "run", "--episodes", 1)
    before = Path("run/actors.csv").read_text()
    call_well("train", "--resume", "run")
    assert epoch("run") == 2 and summary("run")["time_s"] > stopped["time_s"]
    assert_complete("run", total)
    assert Path("run/actors.csv").read_text().startswith(before), "what actors did before is forgotten"
    for learner, steps in ("1", stopped["env_steps"]), ("2", total - stopped["env_steps"]):
        rows = [row for row in table("run/actors.csv") if row["epoch"] == learner]
        assert [row["place"] for row in rows] == ["0", "1"] and sum(int(row["transitions"]) for row in rows) >= steps, rows


@test(40)
def a_run_keeps_its_mode():
    modes = "sync", "pipelined", "async"
    for mode in modes:
        call_well("train", PENDULUM, *FAST, f"mode={mode}", "total_steps=500", "--run", mode)
    for mode in modes:
        config = Path(mode, "config.yaml")
        text, before = config.read_text(), {p: p.read_bytes() for p in Path(mode).rglob("*.csv")}
        for other in modes:
            if other == mode:
                continue
            config.write_text(text.replace(f"mode: {mode}", f"mode: {other}").replace("total_steps: 500", "total_steps: 900"))
            status, _, err = call("train", "--resume", mode)
            assert status == CONFIG and f"was written in mode {mode} and cannot go on in mode {other}" in err, err
            assert f"write mode: {mode}" in err and f"{mode}/checkpoint/learner.safetensors" in err, err
        assert before == {p: p.read_bytes() for p in Path(mode).rglob("*.csv")}, "a refused resume changed the run"
        config.write_text(text.replace("total_steps: 500", "total_steps: 900"))
        call_well("train", "--resume", mode)
        assert summary(mode)["env_steps"] == 900
    call_well("train", ROOT / "configs/a2c/cartpole.yaml", "mode=gradients", "total_steps=500", "--run", "gradients")
    config = Path("gradients/config.yaml")
    config.write_text(config.read_text().replace("mode: gradients", "mode: async").replace("total_steps: 500", "total_steps: 900"))
    assert call("train", "--resume", "gradients")[0] == CONFIG


@test()
def resume_of_a_finished_run_changes_nothing():
    files = "metrics.csv", "eval.csv", "hashes.csv", "schedule.bin", "checkpoint/policy.safetensors"
    call_well("train", PENDULUM, *FAST, "total_steps=1000", "--run", "run")
    before = {f: Path("run", f).read_bytes() for f in files}
    call_well("train", "--resume", "run")
    for f in files:
        assert Path("run", f).read_bytes() == before[f], f"{f} changed"


@test()
def finished_run_goes_on_with_more_transitions():
    """Also where the last evaluation came at a point that eval.every names: there is one of it."""
    call_well("train", PENDULUM, *FAST, "total_steps=1000", "eval.every=500", "mode=sync", "--run", "run")
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("total_steps: 1000", "total_steps: 2000"))
    call_well("train", "--resume", "run")
    assert_complete("run", 2000)
    assert [n // 500 for n in column("run/eval.csv", "env_steps", int)] == [1, 2, 3, 4]


@test()
def second_ctrl_c_stops_at_once():
    supervisor = train(INVERTED_PENDULUM, "run", "total_steps=1000000")
    wait_for("some progress", lambda: env_steps("run") > 500)
    learner, = children(supervisor, "learner")
    os.kill(learner, signal.SIGSTOP)    # so that it cannot stop cleanly
    supervisor.send_signal(signal.SIGINT)
    supervisor.says("once more: stop at once")
    time.sleep(0.3)
    assert supervisor.poll() is None, "the first did not wait for the learner"
    began = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(10) != 0
    assert time.monotonic() - began < 1 and not living(os.getpid())


@test()
def ctrl_c_while_the_learner_is_down_is_not_success():
    supervisor = train(INVERTED_PENDULUM, "run", "total_steps=1000000")
    wait_for("some progress", lambda: env_steps("run") > 500)
    os.kill(children(supervisor, "learner")[0], signal.SIGKILL)
    supervisor.says("starting it again")
    supervisor.send_signal(signal.SIGINT)
    supervisor.ends_with(INTERRUPTED)
    assert not living(os.getpid())


@test()
def killed_supervisor_leaves_no_processes():
    supervisor = train(INVERTED_PENDULUM, "run", "total_steps=1000000")
    wait_for("learner and actors", lambda: len(living(supervisor.pid)) >= 3 and env_steps("run") > 500)
    supervisor.kill()
    supervisor.wait()
    wait_for("the children to end", lambda: not living(os.getpid()), 2)


@test()
def divergence_ends_the_run_and_says_so():
    """A temperature that grows at every update, and critics without a discount that are their own targets."""
    status, out, err = call("train", PENDULUM, *FAST, "mode=sync", "total_steps=100000", "sac.q_lr=1", "sac.tau=1",
                            "sac.policy_lr=1", "sac.alpha_lr=1", "sac.gamma=1", "sac.alpha_init=1000",
                            "sac.target_entropy=0.69", "--run", "run")
    assert status == DIVERGED and "diverged" in err and "lower the learning rates" in err, f"{status} {err}"
    assert summary("run")["status"] == "diverged" and "actor-0 was" not in out
    log = Path("run/log.txt").read_text()
    assert len(re.findall(r"update \d+ failed: the .* is not finite", log)) == 3, log
    assert log.count("back to ") == 3 and "failed, 32 so far: " in log, log
    has_checkpoint = Path("run/checkpoint/learner.safetensors").exists()
    assert has_checkpoint == ("the last checkpoint is in" in err), err


@test(60)
def on_policy_resume_repeats_the_uninterrupted_run():
    """Every on-policy algorithm: interrupted within a round, it finishes the round and goes on bit for bit."""
    for name in "ppo", "a2c":
        job = f"{name}.yaml"
        Path(job).write_text(f"algorithm: {name}\nenv:\n  name: Pendulum-v1\n")
        args = ["mode=sync", "seed=5", "actors=2", "envs_per_actor=1", "actor.horizon=128", "learner.batch_size=64",
                "network.hidden=[64,64]", "total_steps=80000", "eval.every=25000", "eval.episodes=2"]
        call_well("train", job, *FAST, *args, "--run", f"{name}-whole")
        for i in range(2):
            supervisor = train(job, f"{name}-{i}", *args)
            wait_for("some progress", lambda: env_steps(f"{name}-{i}") > 4000 * (i + 1))
            supervisor.send_signal(signal.SIGINT)
            supervisor.ends_with(INTERRUPTED)
            assert summary(f"{name}-{i}")["env_steps"] < 80000, "it was over before it was interrupted"
            call_well("train", "--resume", f"{name}-{i}")
            assert fragments(f"{name}-{i}") == fragments(f"{name}-whole")
            for file in "hashes.csv", "checkpoint/policy.safetensors":
                assert Path(f"{name}-{i}", file).read_bytes() == Path(f"{name}-whole", file).read_bytes(), \
                    f"{name}: {file} differs from the uninterrupted run's"


@test()
def one_learner_at_a_time_holds_a_run():
    supervisor = train(PENDULUM, "run", "total_steps=1000000")
    wait_for("some progress", lambda: env_steps("run") > 500)
    for command in ["train"], ["learner", "--bind", "tcp://127.0.0.1:*"]:
        status, _, err = call(*command, "--resume", "run")
        assert status == TEMPORARY and "run is in use by another learner" in err, f"{status} {err}"
    before = env_steps("run")
    wait_for("the first to go on", lambda: env_steps("run") > before)
    supervisor.send_signal(signal.SIGINT)
    supervisor.ends_with(INTERRUPTED)
    assert epoch("run") == 1


@test()
def damaged_checkpoints_are_refused():
    supervisor = train(PENDULUM, "run", "total_steps=1000000")
    wait_for("some progress", lambda: env_steps("run") > 1000)
    supervisor.send_signal(signal.SIGTERM)
    supervisor.ends_with(INTERRUPTED)
    name = "checkpoint/learner.safetensors"
    raw = Path("run", name).read_bytes()

    def flipped(at):
        return raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1:]

    for what, damaged in (("empty", b""), ("truncated", raw[:-100]), ("extended", raw + b"more"),
                          ("flipped-length", flipped(1)), ("flipped-header", flipped(8)),
                          ("flipped-data", flipped(len(raw) - 4000))):
        shutil.copytree("run", what)
        Path(what, name).write_bytes(damaged)
        process = shoal("train", "--resume", what)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            raise AssertionError(f"training goes on from a checkpoint that is {what}") from None
        assert process.returncode == BAD_DATA and name in process.output(), f"{what}: {process.output()}"
        assert Path(what, "metrics.csv").read_bytes() == Path("run/metrics.csv").read_bytes()


# ---- what is killed is started again ----

@test()
def supervised_actor_killed_is_restarted():
    total = 30000 if SLOWER > 1 else 120000
    supervisor = train(INVERTED_PENDULUM, "run", f"total_steps={total}")
    wait_for("two actors and updates", lambda: len(children(supervisor, "actor")) == 2 and env_steps("run") > 500)
    os.kill(children(supervisor, "actor")[0], signal.SIGKILL)
    name = supervisor.says(r"(actor-\d) was killed by signal 9 \(Killed\); starting it again in 0.5 s")
    supervisor.says(f"(?s)starting it again.*{name} joined")
    supervisor.ends_with(0)
    assert epoch("run") == 1
    assert_complete("run", total)


def kill_the_learner(run, *overrides, when, total_steps):
    """In the middle: total_steps must take some seconds."""
    total_steps *= 1 if SLOWER > 1 else 4
    supervisor = train(PENDULUM, run, f"total_steps={total_steps}", *overrides)
    wait_for("the moment to kill the learner", lambda: when(Path(run)))
    os.kill(children(supervisor, "learner")[0], signal.SIGKILL)
    killed_at = env_steps(run)
    supervisor.says(r"learner was killed by signal 9 \(Killed\); starting it again in 0.5 s")
    supervisor.says("(?s)starting it again.*going on.*joined")
    supervisor.ends_with(0, 30)
    assert epoch(run) == 2 and killed_at < total_steps
    assert_complete(run, total_steps)


@test(40)
def supervised_learner_killed_is_restarted_from_its_checkpoint():
    for mode in "async", "sync":
        kill_the_learner(mode, f"mode={mode}", "checkpoint.every_s=1", total_steps=40000,
                         when=lambda run: (run / "checkpoint/policy.safetensors").exists())
        going_on = (Path(mode) / "log.txt").read_text().split("going on")[1]
        first = int(re.search(r"evaluation at (\d+) ", going_on)[1])
        assert first > 2000, f"{mode}: training began again, with an evaluation at {first} transitions"


@test()
def supervised_learner_killed_before_its_first_checkpoint_begins_again():
    call_well("simulate", PENDULUM, *FAST, "total_steps=300", "--run", "other")

    def later(run):
        return env_steps(run) > 2000 and shutil.copy("other/actors.csv", run)    # as one leaves it that diverged
    moments = {"at-once": lambda run: (run / "config.yaml").exists(), "later": later}
    for name, when in moments.items():
        kill_the_learner(name, "checkpoint.every_s=1000", when=when, total_steps=20000)
        assert {row["epoch"] for row in table(f"{name}/actors.csv")} == {"2"}, "what was forgotten is counted"


@test()
def learner_started_again_by_hand_finds_its_actors():
    for mode in "async", "sync":
        endpoint, total = f"ipc://{Path(f'{mode}.socket').resolve()}", 2000
        timing = ["transport.heartbeat_ms=100", "transport.liveness_ms=500", "checkpoint.every_s=1"]
        learner = shoal("learner", PENDULUM, *FAST, *timing, f"mode={mode}", "actors=2", f"total_steps={total}",
                        "--bind", endpoint, "--run", mode)
        actors = [shoal("actor", "--learner", endpoint, "--delay-ms", 3) for _ in range(2)]
        wait_for("a checkpoint", Path(mode, "checkpoint/policy.safetensors").exists)
        learner.kill()
        learner.wait()
        assert all(a.poll() is None for a in actors)
        learner = shoal("learner", "--resume", mode, "--bind", endpoint)
        for process in learner, *actors:
            process.ends_with(0)
        assert_complete(mode, total)
