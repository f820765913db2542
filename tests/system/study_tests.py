#!/usr/bin/python3
"""System tests of `shoal study`; everything else is as in system_tests.py, usage included."""
import os
import signal
import sys
from pathlib import Path

from harness import (CONFIG, INTERRUPTED, TEMPORARY, USAGE, call, call_well, children, living, main, shoal, test,
                     wait_for)
from run_directory import env_steps, epoch, summary

SETTINGS = "settings: {algorithm: ppo, total_steps: %d, metrics.every_s: 0.1, eval: {every: 4000, episodes: 2}}\n"
ARMS = "arms: {sync: {mode: sync}, async: {mode: async}}\ntasks: [CartPole-v1]\n"
CELLS = ["sync-CartPole-v1-1", "async-CartPole-v1-1", "sync-CartPole-v1-2", "async-CartPole-v1-2"]


def write_study(total_steps, more="seeds: [1, 2]\n", name="tiny.yaml"):
    Path(name).write_text("title: Tiny\n" + SETTINGS % total_steps + ARMS + more)


def state_of(folder):
    """What no later command may touch."""
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def is_done(cell, directory="dir"):
    path = Path(directory, "runs", cell, "summary.json")
    return path.exists() and summary(path.parent)["status"] == "finished"


@test(60)
def a_study_is_interrupted_gone_on_with_and_reported():
    total = 12000
    write_study(total)
    study = shoal("study", "tiny.yaml", "--dir", "dir", "--jobs", 1)
    wait_for("the middle of the second run", lambda: is_done(CELLS[0]) and env_steps(f"dir/runs/{CELLS[1]}") > 1000, 40)
    study.send_signal(signal.SIGINT)
    study.ends_with(INTERRUPTED)
    assert "stopping: 1 run writes a checkpoint" in study.output(), study.output()
    assert "interrupted with 1 of 4 runs done; go on with: shoal study dir" in study.output(), study.output()
    assert not living(os.getpid()), "processes are left"
    assert summary(f"dir/runs/{CELLS[1]}")["status"] == "interrupted"
    assert not Path("dir/runs", CELLS[2]).exists() and not Path("dir/report.html").exists()
    finished = state_of(f"dir/runs/{CELLS[0]}")
    listed = call_well("study", "dir", "--list")
    assert f"{CELLS[0]}   done" in listed and f"{CELLS[1]}  interrupted" in listed and "1 done" in listed, listed

    out = call_well("study", "dir", "--jobs", 2)
    assert "4 runs, 1 already done, 1 to go on with, 2 at a time, in dir" in out, out
    assert "the report is in dir/report.html" in out
    assert state_of(f"dir/runs/{CELLS[0]}") == finished, "a finished run was touched"
    for cell, n_learners in zip(CELLS, (1, 2, 1, 1)):
        assert summary(f"dir/runs/{cell}")["env_steps"] == total and epoch(f"dir/runs/{cell}") == n_learners
    assert Path("dir/report.html").stat().st_size > 0 and "Tiny" in Path("dir/report.md").read_text()

    assert Path("dir/study.yaml").read_text().startswith("# shoal study tiny.yaml\n")

    # Once more: nothing is run; another seed is.
    before = state_of("dir/runs")
    Path("dir/report.md").unlink()
    assert "4 runs, 4 already done" in call_well("study", "tiny.yaml", "--dir", "dir")
    assert Path("dir/report.md").exists() and state_of("dir/runs") == before
    call_well("study", "tiny.yaml", "seeds=1,2,3", "--dir", "dir")
    assert is_done("sync-CartPole-v1-3") and is_done("async-CartPole-v1-3")
    assert {p: s for p, s in state_of("dir/runs").items() if p in before} == before


@test()
def a_wrong_study_is_refused_before_anything_runs():
    write_study(5000)
    Path("wrong.yaml").write_text(Path("tiny.yaml").read_text() + "vary:\n  learner.bach_size: [64, 128]\n")
    status, _, err = call("study", "wrong.yaml", "--dir", "dir")
    assert status == CONFIG and not Path("dir").exists()
    assert 'arm "sync, bach_size=64", task "CartPole-v1" (and 3 more alike): wrong.yaml:7:3: learner.bach_size: ' \
           'unknown key "bach_size" in section "learner"; did you mean "batch_size"?' in err, err
    for text, expected in ("arm: {}\n", 'wrong.yaml:1:1: unknown key "arm" in a study; did you mean "arms"?'), \
                          ("arms: {a: {}}\n", "wrong.yaml:1:1: seeds: expected a list such as"):
        Path("wrong.yaml").write_text(text)
        status, _, err = call("study", "wrong.yaml")
        assert status == CONFIG and expected in err, err
    assert call("study")[0] == USAGE and call("study", "tiny.yaml", "--jobs", 0)[0] == USAGE
    status, _, err = call("study", "tiny.yaml", "--report", "--dir", "dir")
    assert status == CONFIG and "no run is finished yet" in err, err
    assert not Path("dir").exists() and not Path("runs").exists()


@test(40)
def a_changed_study_is_refused_and_a_failing_run_is_left_out():
    write_study(3000, "seeds: [1]\n")
    Path("dir/runs").mkdir(parents=True)
    Path("dir/runs", CELLS[0]).write_text("in the way")
    status, out, err = call("study", "tiny.yaml", "--dir", "dir")
    assert status == TEMPORARY and is_done(CELLS[1]), err
    assert out.count(f"{CELLS[0]} ended with status ") == 2 and "again, and is left out" in out, out
    assert "1 of 2 runs failed and are missing in the report" in err and Path("dir/report.html").exists(), err
    Path("dir/runs", CELLS[0]).unlink()
    call_well("study", "dir")
    before = state_of("dir")
    status, _, err = call("study", "tiny.yaml", "ppo.gamma=0.5", "--dir", "dir")
    assert status == CONFIG and f"dir/runs/{CELLS[0]}/config.yaml was run with ppo.gamma: 0.99, the study now has " \
                                "gamma: 0.5" in err, err
    assert {p: s for p, s in state_of("dir").items() if p.name != "lock"} == \
           {p: s for p, s in before.items() if p.name != "lock"}
    assert "the report is in dir/report.html" in call_well("study", "tiny.yaml", "--report", "--dir", "dir")


@test(40)
def a_report_names_the_command_that_gives_its_figures():
    def assert_command(expected):
        assert f"\n    {expected}\n" in Path("dir/report.md").read_text(), Path("dir/report.md").read_text()[:800]
        assert Path("dir/study.yaml").read_text().startswith(f"# {expected}\n")

    write_study(5000, "seeds: [1, 2]\n")
    call_well("study", "tiny.yaml", "seeds=1", "network.hidden=[8, 8]", "total_steps=1000", "--dir", "dir")
    assert_command("shoal study tiny.yaml seeds=1 'network.hidden=[8, 8]' total_steps=1000")
    for more in ["seeds=2,1"], ["seeds=2,1"], []:
        call_well("study", "dir", *more)
        expected = "shoal study tiny.yaml 'network.hidden=[8, 8]' total_steps=1000 seeds=2,1"
        assert_command(expected)
        assert is_done("async-CartPole-v1-2")
    call_well("study", "dir", "--report", "network.hidden=[8, 8]")
    assert "shoal study tiny.yaml total_steps=1000 seeds=2,1 'network.hidden=[8, 8]'" in Path("dir/report.md").read_text()
    # It does give the same cells.
    configs = state_of("dir/configs").keys()
    call_well("study", *expected.replace("'", "").replace(", ", ",").split()[2:], "--dir", "again", "--jobs", 4)
    for path in configs:
        assert path.read_text() == Path("again", *path.parts[1:]).read_text()
    # A copy whose first line does not say how it began stands for itself.
    copy = Path("dir/study.yaml")
    copy.write_text(copy.read_text().split("\n", 1)[1])
    call_well("study", "dir")
    assert_command("shoal study dir")


@test(40)
def a_killed_study_takes_its_runs_with_it_and_a_second_one_waits():
    write_study(1000000)
    study = shoal("study", "tiny.yaml", "--dir", "dir", "--jobs", 2)
    wait_for("two runs", lambda: all(env_steps(f"dir/runs/{c}") > 0 for c in CELLS[:2]))
    status, _, err = call("study", "tiny.yaml", "--dir", "dir")
    assert status == TEMPORARY and "dir is in use by another shoal study" in err, err
    study.kill()
    study.wait()
    wait_for("the end of everything", lambda: not living(os.getpid()), 5)
    study = shoal("study", "dir")
    wait_for("two runs again", lambda: len(children(study, "train")) == 2)
    assert "4 runs, 2 to go on with, " in study.output()
    study.send_signal(signal.SIGTERM)
    study.ends_with(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
