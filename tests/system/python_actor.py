#!/usr/bin/python3
"""An actor written from proto/PROTOCOL.md alone. It joins a learner of Pendulum-v1, is counted when it sends
valid fragments and refused with a reason when it sends bad ones. Usage: python_actor.py ENDPOINT"""
import hashlib, math, random, signal, struct, sys, time, zlib
import msgpack, zmq

def check(good, what):
    print("ok:", what, flush=True) if good else sys.exit("failed: " + what)

def numbers(kind, raw):
    return [x for x, in struct.iter_unpack("<" + kind, raw)]

class Actor:
    def __init__(self, endpoint):
        self.socket = zmq.Context().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 1000)
        self.socket.connect(endpoint)
        self.incarnation = random.SystemRandom().randrange(1, 2**64)

    def send(self, kind, cut=0, **rest):
        frame = msgpack.packb({"type": kind, "incarnation": self.incarnation, **self.run, **rest})
        self.socket.send(frame[:len(frame) - cut])

    def wait(self, wanted, ask=lambda: None):
        """The next message for which `wanted` is true. Meanwhile calls `ask` and sends heartbeats, every second."""
        due = 0
        while True:
            if time.monotonic() >= due:
                due = time.monotonic() + min(1, self.welcome.get("heartbeat_ms", 1000) / 1000)
                ask()
                self.run and self.send("HEARTBEAT", state="acting")
            if not self.socket.poll(50):
                continue
            m = msgpack.unpackb(self.socket.recv())
            if m["type"] in ("ACK", "HEARTBEAT"):
                self.news = dict(m, acked=numbers("q", m["acked"]))
            if wanted(m):
                return m
            if m["type"] in ("REJECT", "DRAIN") and not (m.get("of") == "hello" and m["retry"]):
                sys.exit(f"failed: unexpected {m}")

    def hello(self):
        self.run, self.welcome = {}, {}
        w = self.welcome = self.wait(lambda m: m["type"] == "WELCOME" and m["incarnation"] == self.incarnation,
                                     lambda: self.send("HELLO", protocol=2, name="python", program="python", cpu="any"))
        self.run, self.sequences = {"run": w["run"], "epoch": w["epoch"]}, numbers("q", w["sequences"])
        self.news = dict(start_version=0, credit=w["credit"], acked=self.sequences[:])

    def want(self, i):
        """Wait for a snapshot and the credit to begin a fragment of our stream number i."""
        self.snapshot = self.wait(lambda m: m["type"] == "SNAPSHOT" and self.run.items() <= m.items()
                                  and m["version"] >= self.news["start_version"]
                                  and self.sequences[i] - self.news["acked"][i] < self.news["credit"],
                                  lambda: self.send("WANT", version=-1))

    def fragment(self, i, cut=0, number=0.5, **changes):
        """Send made-up rows that begin with `number`, with a changed header, without the last `cut` bytes."""
        self.want(i)
        w, T, uniform = self.welcome, self.welcome["horizon"], lambda n: [random.uniform(-1, 1) for _ in range(n)]
        f = dict(stream=w["first_stream"] + i, life=numbers("I", w["lives"])[i], sequence=self.sequences[i],
                 n_rows=T + 1, version=self.snapshot["version"], n_obs=w["n_obs"], n_act=w["n_act"], n_transitions=T)
        f.update(changes, **({"state": bytes(8)} if w["wants_state"] else {}))
        rows = [x for _ in range(T) for x in uniform(f["n_obs"] + f["n_act"]) + [-1, 0, 0]]    # STEP
        rows += uniform(f["n_obs"]) + [0] * (f["n_act"] + 2) + [3]                             # CLOSE
        rows = struct.pack(f"<{len(rows)}f", number, *rows[1:])
        self.send("FRAGMENT", cut, **f, checksum=zlib.crc32(rows), rows=rows)

    def counted(self, i, what):
        self.fragment(i)
        self.sequences[i] += 1
        self.wait(lambda m: self.news["acked"][i] >= self.sequences[i])
        check(self.news["acked"][i] == self.sequences[i], f"{what} is counted, acked is now {self.sequences[i]}")

    def refused(self, what, code, **flaw):
        self.fragment(0, **flaw)
        m = self.wait(lambda m: m["type"] == "REJECT")
        check(m["code"] == code and " " in m["reason"], f"{what} is refused, {m['code']}: {m['reason']}")
        self.sequences[0] += m["of"] == "fragment"    # without `retry` it was dealt with
        if m["retry"]:
            self.hello()

signal.signal(signal.SIGALRM, lambda *_: sys.exit("failed: not done within 60 seconds"))
signal.alarm(60)
a = Actor(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
a.hello()
w, spec = a.welcome, b"shoal-env-2 Pendulum-v1 n_obs 3 n_act 1 n_choices 0 limit 200 low -2 high 2 content - options -"
check(w["protocol"] == 2 and w["spec"] == hashlib.sha256(spec).hexdigest()[:16], "welcome, and the spec is ours")
a.want(0)
p, sizes = a.snapshot["parameters"], [w["n_obs"], *numbers("I", w["hidden"]), 2 * w["n_act"]]
check(len(p) == 4 * sum((i + 1) * o for i, o in zip(sizes, sizes[1:])) and zlib.crc32(p) == a.snapshot["checksum"],
      f"the snapshot of version {a.snapshot['version']} is whole")
for i in range(w["n_streams"]):
    a.counted(i, f"a valid fragment of stream {w['first_stream'] + i}")
a.refused("a wrong n_obs", "dimensions", n_obs=w["n_obs"] + 1)
a.refused("a version that never was", "version", version=a.snapshot["version"] + 10**6)
a.refused("NaN", "nonfinite", number=math.nan)
a.refused("a truncated frame", "malformed", cut=5)
a.counted(0, "a valid fragment after all that")
a.send("BYE", reason="done")
