#!/usr/bin/python3
"""An actor written from proto/PROTOCOL.md alone. It joins a learner of Pendulum-v1 or CartPole-v1, acts with the policy it
is sent in observations that it makes up, is counted when it sends valid fragments and refused with a reason when it sends
bad ones. Usage: python_actor.py ENDPOINT"""
import hashlib, math, random, signal, struct, sys, time, zlib

SPECS = {"Pendulum-v1": b"n_obs 3 n_act 1 n_choices 0 limit 200 low -2 high 2 content - options -",
         "CartPole-v1": b"n_obs 4 n_act 1 n_choices 2 limit 500 low 0 high 1 content - options -"}

def check(good, what):
    print("ok:", what, flush=True) if good else sys.exit("failed: " + what)

def numbers(kind, raw):
    return [x for x, in struct.iter_unpack("<" + kind, raw)]

class Policy:
    """What WELCOME `w` and a snapshot's parameters make of an observation."""
    def __init__(self, w, raw):
        self.w, p = w, numbers("f", raw)
        take = lambda n: [p.pop() for _ in range(n)]
        p.reverse()
        outputs = {"categorical": w["n_choices"], "gaussian": w["n_act"], "deterministic": w["n_act"]}
        sizes = [w["n_obs"], *numbers("I", w["hidden"]), outputs.get(w["head"], 2 * w["n_act"])]
        self.layers = []
        for k, n in zip(sizes, sizes[1:]):
            is_normed = w["layer_norm"] and len(self.layers) < len(sizes) - 2
            self.layers.append(([take(n) for _ in range(k)], take(n), is_normed and (take(n), take(n))))
        self.log_sigma = take(w["n_act"]) if w["head"] == "gaussian" else []
        self.mean, self.inverse_std = (take(w["n_obs"]), take(w["n_obs"])) if w["normalises"] else ([], [])
        self.left = len(p)
        self.process = [0.0] * w["n_act"]    # of Ornstein and Uhlenbeck; the episodes made up here never end

    def outputs(self, x):
        if self.mean:
            x = [min(max((v - m) * s, -10), 10) for v, m, s in zip(x, self.mean, self.inverse_std)]
        for weights, bias, norm in self.layers:
            x = [b + sum(v * row[j] for v, row in zip(x, weights)) for j, b in enumerate(bias)]
            if norm:
                m = sum(x) / len(x)
                v = sum((z - m) ** 2 for z in x) / len(x)
                x = [g * (z - m) / math.sqrt(v + 1e-5) + o for z, g, o in zip(x, *norm)]
            if weights is not self.layers[-1][0]:
                f = {"relu": lambda z: max(z, 0), "tanh": math.tanh, "silu": lambda z: z / (1 + math.exp(-z))}
                x = [f[self.w["activation"]](z) for z in x]
        return x

    def act(self, obs, normal=lambda: random.gauss(0, 1), uniform=random.random):
        """An action and its log_prob."""
        w, out, head, n = self.w, self.outputs(obs), self.w["head"], self.w["n_act"]
        if head == "categorical":
            total = sum(math.exp(z - max(out)) for z in out)
            p, u, i = [math.exp(z - max(out)) / total for z in out], uniform(), 0
            while i < len(p) - 1 and u >= sum(p[:i + 1]):
                i += 1
            return [i], math.log(p[i])
        if head == "deterministic":
            if w["exploration"] == "ornstein_uhlenbeck":
                self.process = [x - w["theta"] * x * w["dt"] + w["sigma"] * math.sqrt(w["dt"]) * normal()
                                for x in self.process]
            noise = {"none": lambda: [0] * n, "gaussian": lambda: [w["sigma"] * normal() for _ in range(n)],
                     "ornstein_uhlenbeck": lambda: self.process}[w["exploration"]]()
            return [min(max(math.tanh(z) + e, -1), 1) for z, e in zip(out, noise)], 0
        ls, eps = [min(max(s, -20), 2) for s in (self.log_sigma or out[n:])], [normal() for _ in range(n)]
        u = [m + math.exp(s) * e for m, s, e in zip(out, ls, eps)]
        log_prob = sum(-e * e / 2 - s - math.log(2 * math.pi) / 2 for e, s in zip(eps, ls))
        if head == "squashed_gaussian":
            softplus = lambda z: max(z, 0) + math.log1p(math.exp(-abs(z)))    # log(1 + exp(z))
            log_prob -= sum(2 * (math.log(2) - z - softplus(-2 * z)) for z in u)
            u = [math.tanh(z) for z in u]
        return u, log_prob

class Actor:
    def __init__(self, endpoint):
        global msgpack, zmq
        import msgpack, zmq
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
                                     lambda: self.send("HELLO", protocol=4, name="python", program="python", cpu="any"))
        self.run, self.sequences = {"run": w["run"], "epoch": w["epoch"]}, numbers("q", w["sequences"])
        self.streams = numbers("I", w["streams"])
        self.news = dict(start_version=0, credit=w["credit"], acked=self.sequences[:])

    def needed(self, i):
        """The one version that our stream number i may begin with, None where any will do, -1 while it is not known."""
        if "lag" not in self.welcome:
            return None
        done, m = self.news.get("round", -1), max(0, self.sequences[i] - self.welcome["lag"])
        return self.news["start_version"] if m == done else self.news["previous"] if m == done - 1 else -1

    def will_do(self, i, version):
        is_new = version >= self.news["start_version"] \
            and self.news.get("newest", 0) - version < self.welcome.get("max_staleness", math.inf)
        return is_new if self.needed(i) is None else version == self.needed(i)

    def ask(self, i):
        wanted = self.needed(i)
        self.send("WANT", version=-1, **({"wanted": wanted} if wanted is not None and wanted >= 0 else {}))

    def want(self, i):
        """Wait for a snapshot and the credit to begin a fragment of our stream number i."""
        self.snapshot = self.wait(lambda m: m["type"] == "SNAPSHOT" and self.run.items() <= m.items()
                                  and self.will_do(i, m["version"])
                                  and self.sequences[i] - self.news["acked"][i] < self.news["credit"],
                                  lambda: self.ask(i))

    def fragment(self, i, cut=0, number=0.5, **changes):
        """Send made-up rows that begin with `number`, with a changed header, without the last `cut` bytes."""
        self.want(i)
        w, T, uniform = self.welcome, self.welcome["horizon"], lambda n: [random.uniform(-1, 1) for _ in range(n)]
        policy = Policy(w, self.snapshot["parameters"])
        f = dict(stream=self.streams[i], life=numbers("I", w["lives"])[i], sequence=self.sequences[i],
                 n_rows=T + 1, version=self.snapshot["version"], n_obs=w["n_obs"], n_act=w["n_act"], n_transitions=T)
        f.update({"state": bytes(len(w["states"]) // len(self.streams))} if w["wants_state"] else {}, **changes)
        rows = []
        for _ in range(T):
            obs = uniform(w["n_obs"])
            action, log_prob = policy.act(obs)
            if self.snapshot["random"]:
                action, log_prob = [random.randrange(w["n_choices"])] if w["n_choices"] else uniform(w["n_act"]), 0
            rows += obs + [0] * (f["n_obs"] - w["n_obs"]) + action + [-1, log_prob, 0]         # STEP
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

def main():
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("failed: not done within 60 seconds"))
    signal.alarm(60)
    a = Actor(*sys.argv[1:]) if len(sys.argv) == 2 else sys.exit(__doc__)
    a.hello()
    w = a.welcome
    spec = b"shoal-env-2 %s %s" % (w["environment"].encode(), SPECS[w["environment"]])
    check(w["protocol"] == 4 and w["spec"] == hashlib.sha256(spec).hexdigest()[:16], "welcome, and the spec is ours")
    a.want(0)
    p = a.snapshot["parameters"]
    check(Policy(w, p).left == 0 and zlib.crc32(p) == a.snapshot["checksum"],
          f"the snapshot of version {a.snapshot['version']} is whole, a policy with the head {w['head']}")
    for i, stream in enumerate(a.streams):
        a.counted(i, f"a valid fragment of stream {stream}")
    a.refused("a wrong n_obs", "dimensions", n_obs=w["n_obs"] + 1)
    a.refused("a version that never was", "version", version=a.snapshot["version"] + 10**6)
    a.refused("NaN", "nonfinite", number=math.nan)
    w["wants_state"] and a.refused("a state of another size", "state", state=bytes(len(w["states"]) + 1))
    a.refused("a truncated frame", "malformed", cut=5)
    a.counted(0, "a valid fragment after all that")
    a.send("BYE", reason="done")

if __name__ == "__main__":
    main()
