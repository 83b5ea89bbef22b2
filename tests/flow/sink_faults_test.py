"""What can go wrong between a sink and its far side, for each sink that speaks HTTP: webhook, ClickHouse (as far as its HTTP interface
goes; flow/clickhouse has the real one) and S3. What must hold throughout: no row is passed over, the bucket has each once, and the
sink's state says within five seconds what is wrong."""
import gzip
import json
import threading

import harness
import pems
from far_http import Absent, Server, ok, tls_server
from harness import check, equal, wait_for
from s3_server import Bucket, fault

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: out, version: 1.0.0}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties: {time: {type: string, format: date-time}, device: {type: string}, value: {type: number}}
    time: time
    entity: [device]
    accept: {past: any, future: any}
sinks:
%s
"""
ROWS, STATE_S, BATCH = 40, 5.0, 10


class Hook:
    """Takes rows as webhook-out posts them."""
    plugin, path, config = "webhook-out", "/rows", {}

    def __init__(self):
        self.seqs = []

    def __call__(self, r):
        self.seqs += [json.loads(line)["_seq"] for line in r["body"].splitlines()]
        return ok(b"")

    def denied(self):
        return 401, {}, b""

    def has(self):
        return self.seqs


class Table(Hook):
    """Says what ClickHouse says of itself, its table and an INSERT."""
    plugin, path, config = "clickhouse", "", {"table": "readings"}

    def __call__(self, r):
        asked = r["query"]["query"]
        if asked == "SELECT version()":
            return ok(b"21.8.1.1\n")
        if asked.startswith("SELECT name, type"):
            return ok(b"time\tDateTime64(6, 'UTC')\ndevice\tString\nvalue\tNullable(Float64)\n_seq\tUInt64\n")
        super().__call__(r)
        return ok(b"")

    def denied(self):
        return 403, {}, b"Code: 516. DB::Exception: penstock: Authentication failed"


class Lake(Bucket):
    plugin, path, config = "s3-out", "/bucket", {}

    def denied(self):
        return fault(403, "AccessDenied")

    def has(self):
        return [json.loads(line)["_seq"] for key in list(self.objects)
                for line in gzip.decompress(self.objects[key][0]).splitlines() if key != "penstock-check.txt"]


class Moody:
    """A far side that is as `mood` says until it is None."""

    def __init__(self, kind, mood, serve=Server):
        self.kind, self.mood, self.turn = kind(), mood, 0
        self.released = threading.Event()
        harness.at_end(self.released.set)
        self.server = serve(self)

    def __call__(self, r):
        return getattr(self, self.mood)(r) if self.mood else self.kind(r)

    def silent(self, r):
        self.released.wait(30)

    def half(self, r):
        r["connection"].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        self.released.wait(30)

    def cut(self, r):
        return None

    def deaf(self, r):
        """It takes what it gets, and says so every other time only."""
        self.turn += 1
        said = self.kind(r)
        return None if self.turn % 2 else said

    def busy(self, r):
        return 429, {"Retry-After": "2"}, b""

    def broken(self, r):
        return 500, {}, b"a stack trace"

    def garbage(self, r):
        return ok(b"<html>Welcome to our hotel</html>")

    def denied(self, r):
        return self.kind.denied()

    def tries(self):
        return [r["at"] for r in self.server.all()]


KINDS = {"hook": Hook, "table": Table, "lake": Lake}


def sink(name, far, **config):
    settings = {"url": far.server.url + far.kind.path, "timeout_ms": 10000, **far.kind.config, **config}
    return f"  {name}: " + json.dumps({"plugin": "org.penstock.connector." + far.kind.plugin, "from": "datastore:readings", "config": settings,
                                       "batch": {"rows": BATCH, "every": "100ms"}})


def started(sinks):
    host = harness.Host().start()
    path = host.folder / "out.yaml"
    path.write_text(TEMPLATE % "\n".join(sinks))
    host.apply(path)
    host.workspace("one", "out")
    feed(host, 0)
    return host


def feed(host, first):
    host.ingest("one", "readings", [{"time": "2026-01-01T00:%02d:%02dZ" % divmod(n, 60), "device": "d%d" % (n % 3), "value": n}
                                    for n in range(first, first + ROWS)])


def wait_state(host, name, state, words="", within=STATE_S):
    look = lambda: host.api("GET", f"/workspaces/one/sinks/{name}").json
    try:
        wait_for(f"{name} is {state}", lambda: (s := look())["state"] == state and words in (s["error"] or ""), within)
    except harness.Failed as failed:
        raise harness.Failed(f"{failed}: {look()}") from None


def wait_rows(fars, n):
    def missing():
        return {name: len(set(far.kind.has())) for name, far in fars.items() if len(set(far.kind.has())) != n}
    try:
        wait_for("all rows at each", lambda: not missing(), 60)
    except harness.Failed:
        equal(missing(), {}, f"who has not {n} rows")
    for name, far in fars.items():
        seqs = far.kind.has()
        order = list(dict.fromkeys(seqs))
        check(name.startswith("lake") or order == sorted(order), f"{name} got rows out of order", order)
        check(not name.startswith("lake") or len(seqs) == n, f"{name} has rows twice", len(seqs), n)


def failures():
    moods = ("silent", "half", "cut", "deaf", "busy", "broken", "garbage", "denied")
    fars = {f"{kind}_{mood}": Moody(make, mood) for kind, make in KINDS.items() for mood in moods}
    fars["hook_garbage"].mood = None  # whatever is said with a 200, it is a 200
    closed = {f"{kind}_closed": Moody(make, None, Absent) for kind, make in KINDS.items()}
    host = started([sink(name, far) for name, far in {**fars, **closed}.items()])
    wait_for("everybody is asked", lambda: all(far.tries() for far in fars.values()), 60)
    for mood, state, words in (
            ("silent", "degraded", "waiting for an answer from"), ("half", "degraded", "waiting for an answer from"), ("denied", "needs_you", ""),
            ("closed", "down", "Failed to connect"), ("cut", "down", "Empty reply"), ("broken", "down", "500"), ("busy", "down", "429")):
        for kind in KINDS:
            wait_state(host, f"{kind}_{mood}", state, words)
    wait_state(host, "table_garbage", "down", "is no ClickHouse")
    wait_state(host, "lake_garbage", "down", "this is no S3 server")
    for kind in KINDS:
        wait_state(host, f"{kind}_silent", "down", "timed out", 15)
        for mood, words in (("closed", "Failed to connect"), ("denied", "")):
            out = host.cli("sink", "check", f"{kind}_{mood}", "-w", "one", code=None)
            check(out.returncode != 0 and words in out.errors, f"check of {kind}_{mood}", out.errors, out.text)
    for kind in KINDS:
        tries = wait_for("some tries", lambda: len(t := fars[f"{kind}_busy"].tries()) >= 3 and t)
        gaps = [b - a for a, b in zip(tries, tries[1:])]
        check(min(gaps) >= 1.99 and min(gaps) < 3, "Retry-After to the second", gaps)
    feed(host, ROWS)
    for name, far in closed.items():
        far.server = far.server.come()
    for name, far in fars.items():
        far.mood = None if far.mood != "deaf" else far.mood
        far.released.set()
    fars.update(closed)
    for name in fars:
        host.cli("sink", "resume", name, "-w", "one")
    wait_rows(fars, 2 * ROWS)
    for name in fars:
        wait_state(host, name, "ok")
    for kind in KINDS:
        check("the far side is there" in host.cli("sink", "check", f"{kind}_closed", "-w", "one").errors, f"check of a {kind} that is well")
    equal(host.sql("SELECT count(*) FROM penstock.dead_letter_wid1"), [["0"]], "dead letters")
    host.stop()


def trust():
    folder = pems.make(harness.folder())
    ca = {"tls": {"ca": {"pem": (folder / "ca.pem").read_text()}}}
    certificates = {"server": None, "expired": "certificate has expired", "elsewhere": "no alternative certificate subject name matches",
                    "lonely": "self-signed certificate"}
    fars = {f"{kind}_{c}": Moody(make, None, lambda far, c=c: tls_server(folder, c, far)) for kind, make in KINDS.items() for c in certificates}
    nobody = {f"{kind}_nobody": Moody(make, None, lambda far: tls_server(folder, "server", far)) for kind, make in KINDS.items()}
    host = started([sink(n, far, **ca) for n, far in fars.items()] + [sink(n, far) for n, far in nobody.items()])
    wait_rows({n: far for n, far in fars.items() if n.endswith("_server")}, ROWS)
    for kind in KINDS:
        wait_state(host, f"{kind}_server", "ok")
        for c, words in {**certificates, "nobody": "SSL certificate problem"}.items():
            if not words:
                continue
            wait_state(host, f"{kind}_{c}", "needs_you", words)
            out = host.cli("sink", "check", f"{kind}_{c}", "-w", "one", code=None)
            check(out.returncode != 0 and words in out.errors, f"check of {kind}_{c}", out.errors, out.text)
        far = fars[f"{kind}_expired"]
        equal(far.tries(), [], "who is not trusted is asked nothing")
        far.server.tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        host.cli("sink", "resume", f"{kind}_expired", "-w", "one")
    wait_rows({n: far for n, far in fars.items() if n.endswith("_expired")}, ROWS)
    host.stop()


harness.main(failures, trust)
