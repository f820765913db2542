"""Runs in rounds give the same bits whatever the timing, whoever steps which streams and what dies on the way.

For every algorithm in both modes: a row of hashes after every update, compared byte for byte between real processes that
are stopped at random behind links that are late at random, `shoal train`, and the one process of `shoal simulate`.
"""
import os
import shutil
import signal
from pathlib import Path

from disturbance import Pauses, SlowLinks
from harness import ROOT, call_well, children, free_ports, shoal, test, wait_for
from run_directory import env_steps, fragments, summary

HORIZON = 8
COMMON = [f"actor.horizon={HORIZON}", "network.hidden=[16,16]", "learner.batch_size=64", "eval.every=0", "eval.episodes=1",
          "metrics.hash_every=1", "metrics.every_s=0.1", "seed=6"]
OFF_POLICY = ["replay.min_size=200", "replay.samples_per_insert=64"]
NOTICED_SOON = ["transport.heartbeat_ms=100", "transport.liveness_ms=500"]


class Case:
    """Runs of one configuration on `n_streams` streams, all of which must reach the same hashes."""

    def __init__(self, algorithm, mode, what, n_streams, total_steps, environment="Pendulum-v1"):
        self.algorithm, self.mode, self.what, self.n_streams, self.total = algorithm, mode, what, n_streams, total_steps
        self.args = [ROOT / f"configs/{algorithm}/pendulum.yaml", *COMMON, f"mode={mode}", f"env.name={environment}",
                     f"total_steps={total_steps}", *(OFF_POLICY if algorithm not in ("ppo", "a2c") else [])]
        self.expected, self.runs, self.n_pauses, self.n_chunks = None, [], 0, 0
        self.folder = Path(f"{algorithm}-{mode}-{what.replace(',', '').replace(' ', '-')}").resolve()
        self.folder.mkdir(exist_ok=True)

    def settings(self, n_actors, *more):
        return [*self.args, f"actors={n_actors}", f"envs_per_actor={self.n_streams // n_actors}", *more]

    def compare(self, run, args):
        """The first run is what all others are compared with."""
        lines = (run / "hashes.csv").read_text().splitlines()
        assert summary(run)["env_steps"] == self.total and len(lines) > 10, summary(run)
        self.expected = self.expected or lines
        self.runs.append(run.name)
        if lines != self.expected:
            self.tell("NOT EQUAL")
            n = next(i for i, (a, b) in enumerate(zip(lines + [""], self.expected + [""])) if a != b)
            there, here = (text[n] if n < len(text) else "its end" for text in (self.expected, lines))
            raise AssertionError(f"{run}/hashes.csv differs in line {n + 1}: {here}, but {there} in {self.runs[0]}; "
                                 f"configuration: {' '.join(map(str, args))}")

    def tell(self, verdict):
        n_rounds = -(-self.total // (self.n_streams * HORIZON))
        print(f"    {self.algorithm:4} {self.mode:9} {self.what:42} {len(self.runs):2} runs  {n_rounds:3} rounds  "
              f"{len(self.expected) - 1:5} hashes  {self.n_pauses:4} pauses  {self.n_chunks:6} late chunks  {verdict}", flush=True)

    def finish(self):
        """All were equal; what they wrote need not stay."""
        self.tell("equal")
        shutil.rmtree(self.folder)

    # ---- ways to run it ----

    def simulate(self, n_actors):
        args = self.settings(n_actors)
        call_well("simulate", *args, "--run", self.folder / "simulated")
        self.compare(self.folder / "simulated", args)

    def train(self, n_actors):
        args, run = self.settings(n_actors), self.folder / f"train-{n_actors}"
        call_well("train", *args, "--run", run)
        self.compare(run, args)

    def by_hand(self, n_actors, name, *more, in_the_middle=None):
        """Learner and actors behind late links, the actors stopped at random; `in_the_middle` is what happens then."""
        ports, args, run = free_ports(2), self.settings(n_actors, *more), self.folder / name
        actors = []

        def actor(i):
            return shoal("actor", "--learner", f"tcp://127.0.0.2:{ports[0]}", "--name", f"actor-{i}")

        with SlowLinks(ports) as links, Pauses(lambda: actors) as pauses:
            actors += [actor(i) for i in range(n_actors)]
            learner = shoal("learner", *args, "--bind", f"tcp://127.0.0.1:{ports[0]}", "--snapshot-port", ports[1], "--run", run)
            if in_the_middle:
                wait_for("a third of the run", lambda: env_steps(run) > self.total / 3, 60)
                in_the_middle(learner, actors, actor, pauses)
            learner.ends_with(0, 60)
            for process in list(actors):
                process.ends_with(0)
        assert pauses.n_pauses > 5 and links.n_chunks > 50, "next to nothing was disturbed"
        self.n_pauses += pauses.n_pauses
        self.n_chunks += links.n_chunks
        self.compare(run, args)

    def train_and_kill_an_actor(self, n_actors):
        """Which the supervisor starts again. Links are as they are: nothing but the pauses slows the run down."""
        args, run = self.settings(n_actors), self.folder / "killed-train"
        supervisor = shoal("train", *args, "--run", run)
        with Pauses(lambda: [Pid(p) for p in children(supervisor, "actor")]) as pauses:
            wait_for("some progress", lambda: env_steps(run) > 0, 60)
            os.kill(children(supervisor, "actor")[1], signal.SIGKILL)
            supervisor.says(r"(?s)actor-\d was killed by signal 9.*actor-\d joined")
        supervisor.ends_with(0, 60)
        assert pauses.n_pauses > 0, "nothing was disturbed"
        self.n_pauses += pauses.n_pauses
        self.compare(run, args)


class Pid:
    """A process that is another one's child."""

    def __init__(self, pid):
        self.pid = pid

    def send_signal(self, number):
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass    # ended


# ---- what happens in the middle of a run ----

def kill_one_and_start_it_again(learner, actors, actor, pauses):
    pauses.spare(actors[0])
    actors[0].kill()
    actors[0].wait()
    actors[0] = actor(0)
    learner.says("(?s)(actor-0 joined.*){2}")


def stop_one_until_others_step_its_streams(learner, actors, _, pauses):
    pauses.spare(actors[0])
    actors[0].send_signal(signal.SIGSTOP)
    learner.says("actor actor-0 has been away for .* others step 5 streams for it")
    actors[0].send_signal(signal.SIGCONT)
    learner.says("actor actor-0 is back and gets its 5 streams")


# ---- the matrix ----

def rounds_repeat(algorithm, mode):
    case = Case(algorithm, mode, "15 streams on 1, 3 and 5 actors", 15, 4000)
    case.simulate(5)
    case.train(3)
    for n_actors in 1, 3, 5:
        for i in range(3):
            case.by_hand(n_actors, f"{n_actors}-actors-{i}")
    case.finish()

    environment = "CartPole-v1" if algorithm in ("ppo", "a2c", "sac") else "Pendulum-v1"
    case = Case(algorithm, mode, f"8 streams on 1, 2 and 4 actors, {environment[:-3]}", 8, 2000, environment)
    case.simulate(4)
    for n_actors in 1, 2, 4:
        case.by_hand(n_actors, f"{n_actors}-actors")
    case.finish()

    # Of an environment that takes its time, so that there is a middle to be killed in.
    case = Case(algorithm, mode, "killed under shoal train, HalfCheetah", 15, 12000, "HalfCheetah-v5")
    case.simulate(3)
    case.train_and_kill_an_actor(3)
    case.finish()

    case = Case(algorithm, mode, "killed by hand, stood in for", 15, 12000)
    case.simulate(3)
    case.by_hand(3, "killed-by-hand", in_the_middle=kill_one_and_start_it_again)
    case.by_hand(3, "stood-in-for", "sync.takeover_s=0.2", *NOTICED_SOON, in_the_middle=stop_one_until_others_step_its_streams)
    assert {r[3] for run in case.folder.iterdir() for r in fragments(run)} == {0}, "a stream lost its state"
    case.finish()


for algorithm in "ppo", "a2c", "ddpg", "td3", "sac":
    for mode in "sync", "pipelined":
        def repeats(algorithm=algorithm, mode=mode):
            rounds_repeat(algorithm, mode)
        repeats.__name__ = f"rounds_of_{algorithm}_{mode}_repeat_whatever_happens"
        test(400, is_long=True)(repeats)
