"""What is read on a terminal: evaluations, progress, benchmarks, errors and warnings."""
import json
import os
import pty
import re
import shutil
import signal
import socket
import statistics
import termios
import time
from pathlib import Path

from harness import (CONFIG, FAST, INTERRUPTED, INVERTED_PENDULUM, PENDULUM, ROOT, SHOAL, TEMPORARY, USAGE, call,
                     call_well, shoal, test, train, wait_for)
from run_directory import env_steps, fragments, summary

# ---- looking at runs ----

@test()
def eval_prints_what_it_documents():
    call_well("train", PENDULUM, *FAST, "total_steps=1500", "--run", "run")
    out = call_well("eval", "run", "--episodes", 4, "--seed", 7, "--json")
    result = json.loads(out)
    assert list(result) == ["episodes", "mean", "std", "min", "max", "returns"] and out.count("\n") == 1
    returns = result["returns"]
    assert result["episodes"] == len(returns) == 4 and len(set(returns)) == 4
    for name, value in (("mean", statistics.mean(returns)), ("std", statistics.pstdev(returns)),
                        ("min", min(returns)), ("max", max(returns))):
        assert abs(result[name] - value) < 1e-4, f"{name} of {result}"
    assert out == call_well("eval", "run", "--episodes", 4, "--seed", 7, "--json"), "it does not repeat"
    assert out != call_well("eval", "run", "--episodes", 4, "--seed", 8, "--json")
    best = json.loads(call_well("eval", "run", "--episodes", 4, "--seed", 7, "--json", "--best"))
    shutil.copytree("run", "copy")
    shutil.copy("run/best/policy.safetensors", "copy/checkpoint/policy.safetensors")
    assert best == json.loads(call_well("eval", "copy", "--episodes", 4, "--seed", 7, "--json"))
    shutil.rmtree("copy/checkpoint")
    shutil.rmtree("copy/best")
    for args, expected in ((["copy"], "the run has not written a checkpoint"),
                           (["copy", "--best"], "the run has not been evaluated"), (["nowhere"], "holds no run")):
        status, out, err = call("eval", *args)
        assert status == CONFIG and expected in err and not out, f"eval {args}: {status} {err}"


@test(60, is_long=True)
def progress_in_a_file_is_a_line_every_ten_seconds():
    supervisor = train(PENDULUM, "run", "total_steps=100000000", "eval.every=0")
    time.sleep(25)
    supervisor.send_signal(signal.SIGINT)
    supervisor.ends_with(INTERRUPTED)
    progress = r"(?m)^ *\d+%  return .*  left .*  \d+ steps  \d+ steps/s  \d+ updates/s  staleness \d+$"
    assert len(re.findall(progress, supervisor.output())) == 2, supervisor.output()
    assert "\r" not in supervisor.output() and "\x1b" not in supervisor.output()


def on_a_terminal(*args, width, keys, when):
    """Run shoal on a terminal and type `keys` when `when` is seen; exit status and raw output."""
    pid, fd = pty.fork()
    if pid == 0:
        termios.tcsetwinsize(0, (24, width))
        os.execv(SHOAL, ["shoal", *args])
    text, typed = "", False
    while True:
        try:
            text += os.read(fd, 4096).decode()
        except OSError:    # the last process on the terminal has ended
            break
        if not typed and re.search(when, text):
            os.write(fd, keys)
            typed = True
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


@test()
def progress_on_a_terminal_is_one_live_line():
    width = 70
    status, text = on_a_terminal("train", PENDULUM, *FAST, "total_steps=1000000", "--run", "run", width=width,
                                 keys=b"\x03", when=r"(?s)steps/s.*steps/s.*steps/s")
    assert status == INTERRUPTED
    drawn = re.findall(r"\r\x1b\[K( *\d+%[^\r\n^]*)", text)    # ^: of the echoed ^C
    assert len(drawn) >= 3 and all(len(line) < width for line in drawn), drawn
    lines = [line.rsplit("\r\x1b[K")[-1] for line in text.replace("\r\n", "\n").replace("^C", "").split("\n")]
    left = [line for line in lines if re.match(r" *\d+%", line)]
    assert not left, f"progress stays on the screen: {left}"


@test(60)
def a_rerun_says_how_much_of_the_schedule_is_done_and_how_fast():
    supervisor = train(PENDULUM, "run", "mode=async", "total_steps=100000000")
    began = wait_for("some progress", lambda: env_steps("run") > 1000 and time.monotonic())
    wait_for("enough to do again", lambda: time.monotonic() > began + 9, 30)
    supervisor.send_signal(signal.SIGINT)
    supervisor.ends_with(INTERRUPTED)
    n_updates = summary("run")["updates"]
    for until in n_updates, n_updates // 2:
        total = sum(f[7] for f in fragments("run") if f[1] < until)
        status, text = on_a_terminal("rerun", "run", "--until", str(until), width=120, keys=b"\x03",
                                     when="(?s)steps/s.*steps/s")
        assert status == INTERRUPTED, text
        found = re.findall(r"K *(\d+)%  return \S+  left (\d+)m(\d\d)s  (\d+) steps  (\d+) steps/s  (\d+) updates/s", text)
        assert len(found) >= 2 and "left ?" not in text, text
        for share, minutes, seconds, steps, speed, updates in (map(int, f) for f in found):
            assert share == 100 * steps // total and speed > 0 and updates > 0, (share, steps, total)
            assert abs(60 * minutes + seconds - (total - steps) / speed) < 1 + 0.1 * (60 * minutes + seconds), found


# ---- benchmarks ----

@test(120)
def bench_measures_and_its_json_parses():
    found = json.loads(call_well("bench", "--seconds", "0.01", "--json", "replay", "kernels"))
    assert found["machine"]["cores"] >= 1 and found["kernels"] and found["version"], found
    assert {r["group"] for r in found["rows"]} == {"replay", "kernels"}
    for r in found["rows"]:
        assert 0 < r["min"] <= r["median"] <= r["max"] and r["windows"] >= 1, r
    keys = [(r["group"], r["name"], r["column"], r["variant"]) for r in found["rows"]]
    assert len(set(keys)) == len(keys), [k for k in keys if keys.count(k) > 1]
    variants = {r["variant"] for r in found["rows"] if r["variant"]}
    assert "openblas f32 x1" in variants, variants
    for variant in variants:
        for form in ("forward", "backward", "weights"):
            products = [r for r in found["rows"] if r["name"] == f"{form} 256x256" and r["variant"] == variant]
            assert [r["column"] for r in products] == ["M = 1", "8", "16", "32", "64", "256", "1024"], products
            peak = "fma_peak" if " f32 " in variant else "amx_peak" if variant.startswith("amx") else "bf16_peak"
            if found[peak]:
                shares = [r["share"] for r in products]
                assert all(0 < s < 1.2 for s in shares), (variant, form, shares)


@test(120)
def bench_shows_tables_of_the_rows_asked_for():
    out = call_well("bench", "updates", "acting", "--seconds", "0.01", "--filter", "2d-v5")
    assert "Walker2d-v5" in out and "Hopper" not in out and "sac" not in out, out
    out = call_well("bench", "updates", "--seconds", "0.01", "--filter", "64-64")
    assert all(f"{a} 64-64" in out for a in ("ppo", "a2c", "ddpg", "td3", "sac")) and "256-256" not in out, out
    ingest = json.loads(call_well("bench", "ingest", "snapshots", "--seconds", "0.01", "--json"))["rows"]
    assert [(r["group"], r["column"]) for r in ingest] == [
        ("ingest", "tcp"), ("ingest", "ipc"), ("snapshots", "1 subscriber"), ("snapshots", "8"), ("snapshots", "64")]


@test()
def bench_errors_are_clear():
    for args, says in (
            (["kernel"], 'unknown group "kernel"; did you mean kernels?'),
            (["--seconds", "none", "replay"], '--seconds: expected a number from 0.001 to 60, found "none"'),
            (["--second", "1"], "did you mean --seconds?")):
        status, out, err = call("bench", *args)
        assert status == USAGE and says in err and not out, (args, status, out, err)
    assert "shoal bench updates --filter sac" in call_well("bench", "--help")


# ---- errors ----

def write_configs():
    """Configurations that are wrong, one mistake each."""
    sac = "algorithm: sac\nenv:\n  name: Pendulum-v1\n"
    for name, text in {
        "key": sac + "sac:\n  gama: 0.9\n", "type": sac + "total_steps: many\n", "range": sac + "actors: 0\n",
        "twice": sac + "seed: 1\nseed: 2\n", "nameless": "algorithm: sac\n", "section": sac + "lerner:\n  x: 1\n",
        "tab": sac + "sac:\n\tgamma: 0.9\n", "environment": "env:\n  name: Pendulm-v1\n",
        "algorithm": sac.replace("sac", "sacc"),
    }.items():
        Path(f"{name}.yaml").write_text(text)


@test(40)
def errors_are_clear():
    """Every one: its exit status, and what the message must name (what, where, what to do)."""
    write_configs()
    call_well("train", PENDULUM, *FAST, "total_steps=500", "--run", "run")
    Path("empty").mkdir()
    listener = socket.create_server(("127.0.0.1", 0))
    used = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    anywhere = ["--bind", "tcp://127.0.0.1:*"]
    cases = [
        ([], USAGE, ["usage: shoal COMMAND"]),
        (["trian"], USAGE, ['unknown command "trian"', '"train"']),
        (["train", "--reusme", "x"], USAGE, ['unknown flag "--reusme"', "--resume"]),
        (["train"], USAGE, ["needs a configuration", "configs/sac/inverted_pendulum.yaml"]),
        (["train", "seed=1"], USAGE, ["configuration file comes before", "seed=1"]),
        (["train", "key.yaml"], CONFIG, ['key.yaml:5:3: unknown key "gama"', 'did you mean "gamma"']),
        (["train", "section.yaml"], CONFIG, ['section.yaml:4:1: unknown', '"lerner"', '"learner"']),
        (["train", "type.yaml"], CONFIG, ['type.yaml:4:14: total_steps: expected an integer', '"many"']),
        (["train", "range.yaml"], CONFIG, ['range.yaml:4:9: actors: expected an integer from 1 to 10000', '"0"']),
        (["train", "twice.yaml"], CONFIG, ["twice.yaml:5:1:", "seed", "line 4"]),
        (["train", "tab.yaml"], CONFIG, ["tab.yaml:5:1:", "tab"]),
        (["train", "nameless.yaml"], CONFIG, ["nameless.yaml", "env.name is required"]),
        (["train", "nowhere.yaml"], CONFIG, ["nowhere.yaml", "No such file"]),
        (["train", "environment.yaml"], CONFIG, ['"Pendulm-v1"', 'did you mean "Pendulum-v1"']),
        (["train", "algorithm.yaml"], CONFIG, ["algorithm.yaml", '"sacc"', "sac"]),
        (["train", PENDULUM, "mode=synk"], CONFIG, ['override "mode=synk"', 'did you mean "sync"']),
        (["train", PENDULUM, "mode=gradients"], CONFIG, ["sac learns from batches of the replay", "mode: async", "a2c"]),
        (["train", f"{ROOT}/configs/a2c/pendulum.yaml", "mode=gradients", "a2c.form=episodes"], CONFIG,
         ["mode: gradients is A3C", "a2c.form: nstep"]),
        (["train", f"{ROOT}/configs/ppo/pendulum.yaml", "mode=gradients"], CONFIG, ["ppo.epochs", "set ppo.epochs: 1"]),
        (["train", PENDULUM, "sac.gama=3"], CONFIG, ['override "sac.gama=3"', '"gamma"']),
        (["train", PENDULUM, "learner.backend=avx512_bf16", "--run", "never"], CONFIG,
         ["learner.backend is avx512_bf16 with learner.precision f32", "choose auto", "or openblas"]),
        (["train", PENDULUM, "--run", "run"], USAGE, ["run already holds a run", "--resume run"]),
        (["train", "--resume", "empty"], CONFIG, ["empty", "no run"]),
        (["train", "--resume", "run", "seed=2"], USAGE, ["own configuration", "seed=2"]),
        (["learner", PENDULUM, "--run", "run", *anywhere], USAGE, ["run already holds a run", "--resume run"]),
        (["learner", PENDULUM, "--run", "new", "--bind", used], TEMPORARY, [used, "in use", "another port"]),
        (["learner", PENDULUM, "--bind", "tcp://0.0.0.0:5555"], USAGE, ["tcp://0.0.0.0:5555", "--insecure"]),
        (["learner", PENDULUM, "--bind", "127.0.0.1:5555"], USAGE, ['"127.0.0.1:5555"', "tcp://"]),
        (["actor"], USAGE, ["--learner ENDPOINT", "tcp://127.0.0.1:5555"]),
        (["actor", "--learner", "tcp://127.0.0.1"], USAGE, ["has no port", "tcp://127.0.0.1:5555"]),
        (["actor", "--learner", "tcp://127.0.0.1:70000"], USAGE, ['"70000"', "65535"]),
        (["actor", "--learner", "ipc://here"], USAGE, ["ipc://here", "absolute path"]),
        (["eval"], USAGE, ["one run directory"]),
        (["eval", "run", "--episodes", "0"], USAGE, ["--episodes", "from 1", '"0"']),
        (["config", "key.yaml"], CONFIG, ["key.yaml:5:3"]),
        (["envs", "Pendulm-v1"], CONFIG, ['"Pendulm-v1"', 'did you mean "Pendulum-v1"']),
        (["envs", "Pendulum-v1", "CartPole-v1"], USAGE, ["one name", '"CartPole-v1"']),
        *((command + ["--env-path", "/tmp:nowhere"], CONFIG, ['--env-path: there is no directory "nowhere"'])
          for command in (["train", PENDULUM], ["learner", PENDULUM], ["actor", "--learner", "tcp://127.0.0.1:9"],
                          ["eval", "run"], ["envs"], ["config", PENDULUM])),
    ]
    wrong = []
    for args, expected, fragments in cases:
        status, out, err = call(*args)
        missing = [f for f in fragments if f not in err]
        if status != expected or missing or out:
            wrong.append(f"shoal {' '.join(args)}: status {status} (expected {expected}), lacks {missing}: {err}{out}")
    listener.close()
    assert not wrong, "\n" + "\n".join(wrong)
    assert not Path("runs").exists() and not Path("new").exists(), "a refused command left a run directory"


@test()
def missing_models_say_where_to_get_them():
    Path("models").mkdir()
    status, _, err = call("train", INVERTED_PENDULUM, env={"SHOAL_MODELS": str(Path("models").resolve())})
    assert status == CONFIG and "inverted_pendulum.xml" in err and "make deps" in err, err


@test()
def insecure_warns_loudly():
    learner = shoal("learner", PENDULUM, "--bind", "tcp://127.0.0.1:*", "--insecure", "--run", "run")
    learner.says("WARNING: --insecure: whoever")
    learner.send_signal(signal.SIGINT)
    learner.ends_with(INTERRUPTED)
    assert "WARNING" in Path("run/log.txt").read_text()
