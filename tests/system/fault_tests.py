"""Environments that crash, hang or give no numbers, and evaluators that are killed."""
import os
import re
import signal
from pathlib import Path

from harness import FAST, PENDULUM, SHOAL, SLOWER, assert_says, children, living, shoal, test, train, wait_for
from run_directory import assert_complete, epoch, summary, table


def train_on_plugin(name, run, *overrides, status=0):
    """A training on one of tests/plugins, to its end: what it printed and the run's log."""
    Path(f"{name}.yaml").write_text(f"algorithm: sac\nenv:\n  name: {name}\n")
    plugins = Path(SHOAL).parent / "tests/plugins"
    assert (plugins / f"lib{name}.so").exists(), f"there is no {plugins}/lib{name}.so: run make plugins first"
    process = train(f"{name}.yaml", run, "replay.samples_per_insert=8", *overrides,
                    env={**os.environ, "SHOAL_ENV_PATH": str(plugins)})
    process.ends_with(status, 60)
    assert not living(os.getpid()), "processes are left"
    assert epoch(run) == 1, "the learner was started again"
    return process.output(), (Path(run) / "log.txt").read_text()


# How a crash ends a process: by its signal, or by the sanitizer that reports it behind us.
CRASHED = r"(was killed by signal 11 \(Segmentation fault\)|ended with status (1|66))"


@test(40)
def an_environment_that_crashes_costs_restarts_and_never_the_run():
    output, log = train_on_plugin("crash", "run", "total_steps=4000", "env.after=500")
    assert_complete("run", 4000)
    for text in output, log:
        crashes = re.findall(r"(actor-\d): crashed with signal 11 \(SIGSEGV.* while stepping environment crash: stream \d, "
                             r"step \d+ of its episode, after 500 transitions", text)
        assert len(crashes) >= 6 and set(crashes) == {"actor-0", "actor-1"}, text
        assert len(re.findall(fr"actor-\d {CRASHED}; starting it again in 0.5 s", text)) >= 6, text
        assert_says(text, r"evaluation at \d+ transitions: the evaluator: crashed .* environment crash: episode \d, "
                          r"step \d+ of its episode, .*; it is played again")
    assert "giving up" not in output and all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in
                                             log.splitlines()), "log.txt has torn lines"
    assert len(table("run/eval.csv")) == 4, "an evaluation that was played again is not there"


@test(40)
def an_environment_that_hangs_costs_restarts_and_never_the_run():
    output, log = train_on_plugin("hang", "run", "total_steps=3000", "env.after=1200", "eval.every=500",
                                  "actor.step_timeout_s=1", "eval.timeout_s=1")
    assert_complete("run", 3000)
    for text in output, log:
        assert_says(text, r"actor-\d: no answer for 1\.\d s while stepping environment hang: stream \d, step \d+ of its "
                          r"episode, after 1200 transitions")
        assert_says(text, r"actor-\d ended with status 69; starting it again")
        assert_says(text, r"the evaluator: no answer for 1\.\d s while stepping environment hang: episode \d, step \d+")
    assert "failed" not in log


@test(40)
def an_environment_that_calls_exit_costs_restarts_and_never_the_run():
    _, log = train_on_plugin("crash", "run", "total_steps=2000", "env.after=700", "env.how=2")
    assert_complete("run", 2000)
    assert_says(log, r"actor-\d: exit\(\) was called while stepping environment crash: stream \d, step \d+")


@test(40)
def an_environment_that_gives_no_numbers_costs_episodes_and_never_the_run():
    for what in range(3):
        run = f"run-{what}"
        output, log = train_on_plugin("nan", run, "total_steps=20000", "env.chance=0.05", f"env.what={what}",
                                      "transport.heartbeat_ms=10")
        assert_complete(run, 20000)
        broke = re.findall(r"(?m)actor-\d: environment nan, stream \d: the simulation broke down .* in step \d+ of its episode, "
                           r"after \d+ transitions of this actor; the episode was truncated, (\d+) so far$", log)
        told = {int(n) for n in broke}
        assert {1, 2, 3, 4, 5, 8, 16, 32, 64} <= told and not told & {6, 7, 9, 15, 17}, log
        assert_says(log, r"actor actor-\d: \d+ episodes? broke down so far")
        assert "starting it again" not in output


@test(40)
def an_environment_whose_state_cannot_be_restored_costs_a_life_and_never_the_run():
    output, log = train_on_plugin("badstate", "run", "total_steps=1500", "mode=sync", "env.after=0",
                                  "env.after_in_episode=50", "env.chance=0.1")
    assert_complete("run", 1500)
    for text in output, log:
        assert len(re.findall(r"actor actor-0 left: environment badstate, stream \d, step 64 of its episode: get_state gave "
                              r"numbers that are not finite", text.replace("actor-1", "actor-0"))) == 3, text
        assert len(re.findall(r"actor-\d ended with status 75; starting it again", text)) == 3, text
        assert_says(text, r"actor-\d: 2 processes in a row ended before they sent anything; its streams begin new episodes")
    # Nobody needs the states in async.
    output, _ = train_on_plugin("badstate", "async", "total_steps=1500", "env.after=0", "env.after_in_episode=50")
    assert "starting it again" not in output


@test(40)
def an_environment_that_crashes_in_evaluations_costs_those():
    for mode in "async", "sync":
        output, log = train_on_plugin("evalcrash", mode, "total_steps=3000", f"mode={mode}", "env.after=100",
                                      "eval.stop_at=1000000")
        crash = r"evaluation at \d+ transitions: the evaluator: crashed with signal 11 .* environment evalcrash: episode \d"
        assert len(re.findall(f"{crash}.*; it is played again", log)) == 2, log    # then one try for each
        assert len(re.findall(f"{crash}.*; it has failed, the run goes on", log)) == 3, log
        assert_says(output, crash)
        assert summary(mode)["env_steps"] == 3000 and summary(mode)["status"] == "finished"
        assert "failed" in summary(mode)["final_evaluation"] and summary(mode)["failed_evaluations"] == 3
        assert table(f"{mode}/eval.csv") == [] and "starting it again" not in output


@test(60, is_long=True)
def an_environment_that_crashes_at_once_ends_the_run_and_says_so():
    output, log = train_on_plugin("crash", "run", "total_steps=2000", "env.after=5", status=69)
    for text in output, log:
        assert len(re.findall(fr"actor-\d {CRASHED}, 6 times in a row before it had sent anything; giving up", text)) == 2
        assert_says(text, r"no actor can run \(status 69\): stopping")


@test()
def a_killed_learner_leaves_no_evaluator():
    endpoint = f"ipc://{Path('socket').resolve()}"
    for number, ending in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGKILL)):
        actor = shoal("actor", "--learner", endpoint)
        # An evaluation that takes minutes.
        learner = shoal("learner", PENDULUM, *FAST, "eval.episodes=10000", "eval.every=100", "network.hidden=[256,256]",
                        "actors=1", "total_steps=1000000", "--bind", endpoint, "--run", f"run-{number}")
        evaluator, = wait_for("an evaluation", lambda: children(learner, "evaluator"))
        wait_for("it to play", lambda: int(Path(f"/proc/{evaluator}/stat").read_text().split()[13]) > 10)
        assert os.getpgid(evaluator) == evaluator, "Ctrl-C on the terminal would reach the evaluator"
        learner.send_signal(ending)
        learner.wait(20 * SLOWER)
        wait_for("the evaluator to end", lambda: evaluator not in living(os.getpid()), 2)
        actor.kill()
        actor.wait()


@test()
def a_killed_evaluator_is_started_again():
    supervisor = train(PENDULUM, "run", "total_steps=20000", "eval.episodes=1000")
    for n in range(1, 3):
        evaluator, = wait_for("an evaluation", lambda: children(supervisor, "evaluator"))
        os.kill(evaluator, signal.SIGKILL)
        supervisor.says(f"(?s)(it is played again.*){{{n}}}evaluation at \\d+ transitions: mean")
    supervisor.ends_with(0, 40)
    assert_complete("run", 20000)
    assert_says((Path("run") / "log.txt").read_text(), r"the process that plays environment Pendulum-v1 was killed by "
                r"signal 9 \(Killed\); it is played again")
    assert "failed_evaluations" not in summary("run")
