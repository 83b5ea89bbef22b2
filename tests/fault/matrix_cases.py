"""The cases of matrix_test.py: a workspace with one faulty plugin of one kind, how its fault is provoked, and what must be
there afterwards.

A fault is either tied to a row (it kills again when the work is done again, until the row is put aside) or comes once, in a
process's second call; the plugin's own configuration says which (plugins/README.md).
"""
import contextlib
import uuid

import templates
from harness import check, equal, wait_for

PLUGINS = ["echo_source", "echo_notifier", "echo_metric", "echo_model", "hostile_late", "hostile_notifier",
           "hostile_metric", "hostile_model"]
KINDS = ["source", "notifier", "metric", "model"]
TIED = ["segv", "abort", "exit", "garbage", "release", "offsets"]  # to a row
STOPS = ["hang", "spin"]
ONCE = [*STOPS, "leak", "descriptors", "thread"]
NO_BATCH = {("notifier", "release"), ("notifier", "offsets")}  # a notifier hands over no batch
ALL = [(k, f) for k in KINDS for f in [*TIED, *ONCE] if (k, f) not in NO_BATCH] + [(k, "constructor") for k in KINDS]
ROWS, PILL, MINUTES = 10100, 10050, 20  # a source is read 10,000 rows at a time: the pill is in the second batch
DEADLINE_S = 1.0

READINGS = templates.readings({"value": "number"}, ["value"], unique=["device_id", "time"])


def config(kind, fault):
    words = {"source": {"rows": ROWS, "one_stream": True, "pace_ms": 300}, "model": {"window": 4}}.get(kind, {})
    if fault is None or fault == "constructor":
        return words if fault is None else {"how": "none"}
    when = {"call": 2} if fault in ONCE else {"text": "pill"} if kind == "notifier" else {"value": PILL}
    what = "length" if (kind, fault) == ("model", "offsets") else fault  # its answer has no text
    return {**words, "trouble": {"what": what, **when}}


def parts(kind, use):
    """What a workspace of that kind has beside its load; `use`: the plugin with its configuration."""
    if kind == "source":
        return {"datastores": {"echoed": templates.echoed()}, "connectors": {"echo": {**use, "into": "datastore:echoed"}}}
    if kind == "notifier":
        return {"metrics": {"seen": {"value": "n", "labels": ["device_id"],
                                     "sql": "SELECT device_id, count(*) AS n FROM datastore:readings GROUP BY 1"}},
                "notifiers": {"hook": use}, "alerts": {"any": templates.alert("seen", "hook", every="1s")}}
    if kind == "metric":
        return {"metrics": {"total": {
            **use, "inputs": {"x": {"sql": "SELECT value FROM datastore:readings WHERE device_id = :device",
                                    "params": {"device": "$device"}}},
            "params": {"device": {"type": "string", "default": "d0"}}, "definition": {"sum": "value"}}}}
    return {"featurestores": {"minutes": templates.rollup("readings", "1m", "max(value) AS value")},
            "models": {"judge": templates.judge(use["plugin"], "minutes", context=4, config=use["config"])},
            "inferencestores": {"judged": templates.judged({"score": "number"})}}


def workspace(host, name, kind, fault):
    plugin = f"org.penstock.test.echo-{kind}"
    if fault == "constructor":
        plugin = "org.penstock.test.hostile" + ("" if kind == "source" else f"-{kind}")
    key = f"{kind}-{fault or 'well'}"
    made = parts(kind, {"plugin": plugin, "config": config(kind, fault)})
    stores = {"load": templates.numbered(), **made.pop("datastores", {"readings": READINGS})}
    templates.publish(host, templates.template(key, datastores=stores, **made))
    host.workspace(name, key)


def reading(device, minute, value):
    return {"time": f"2026-01-01T00:{minute:02}:00Z", "device_id": device, "value": value}


class Case:
    """One fault (None: the same work without it) in one kind of plugin, in workspace number `wid`."""

    def __init__(self, kind, fault, wid):
        self.kind, self.fault, self.wid = kind, fault, wid
        self.ws = f"case{wid}"
        self.poison = 1 if fault in TIED else 0

    def count(self, host, table):
        return int(host.sql(f"SELECT count(*) FROM {table}_wid{self.wid}")[0][0])

    def make(self, host):
        workspace(host, self.ws, self.kind, self.fault)
        if self.kind == "source" and self.fault != "constructor":
            wait_for("its first batch", lambda: self.count(host, "datastore.echoed") >= 10000, 30)

    def evaluate(self, host, device):
        """The answer's status; asked again while it is 503, as a client would: a death for memory repeats nothing by itself."""
        ask = lambda: host.request("POST", f"/api/v1/workspaces/{self.ws}/metrics/total:run", {"params": {"device": device}},
                                   headers={"Idempotency-Key": str(uuid.uuid4())}).status
        return wait_for("an answer", lambda: (status := ask()) != 503 and status, 30)

    def deliveries(self, host):
        return {d["labels"]["device_id"]: d["state"] for d in host.api("GET", f"/workspaces/{self.ws}/deliveries").json["items"]}

    def settled(self, host, *devices):
        states = self.deliveries(host)
        return all(states.get(d) in ("sent", "failed", "accepted") for d in devices) and states

    def judged(self, host):
        return self.count(host, "inferencestore.judged")

    def warm(self, host):
        """One call that goes well: the fault that comes once comes in the second. With a hostile constructor there is none."""
        if self.fault == "constructor":
            return
        if self.kind == "notifier":
            host.ingest(self.ws, "readings", [reading("d0", 0, 1.0)])
            wait_for("the first message", lambda: self.settled(host, "d0"), 30)
        elif self.kind == "metric":
            host.ingest(self.ws, "readings", [reading("d0", 0, 1.0), reading("pill", 0, PILL), reading("pill", 1, 2.0)])
            equal(self.evaluate(host, "d0"), 200, "the first evaluation")
        elif self.kind == "model":
            host.ingest(self.ws, "readings", [reading("d0", m, float(m)) for m in range(MINUTES)])
            wait_for("features", lambda: self.count(host, "featurestore.minutes") == MINUTES, 30)
            host.cli("model", "train", "judge", "-w", self.ws)
            wait_for("first scores", lambda: self.judged(host) == MINUTES, 30)

    def call(self, host):
        """Asks for a metric or a training, whatever becomes of it."""
        if self.kind == "metric":
            host.request("POST", f"/api/v1/workspaces/{self.ws}/metrics/total:run", {"params": {"device": "d0"}})
        elif self.kind == "model":
            host.request("POST", f"/api/v1/workspaces/{self.ws}/models/judge:train", {}, headers={
                "Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"})

    @property
    def held(self):
        """What a hostile constructor comes to: quarantine; a training is tried too seldom for five deaths in a case."""
        return {"waiting", "quarantined"} if self.kind == "model" else {"quarantined"}

    def held_back(self, host):
        self.call(host)
        return bool(found := self.conditions(host)) and set(found) <= self.held

    def provoke(self, host):
        if self.fault == "constructor" and self.kind != "source":
            host.ingest(self.ws, "readings", [reading("d0", m, float(m)) for m in range(MINUTES)])
        elif self.kind in ("notifier", "model"):
            host.ingest(self.ws, "readings", [reading("pill", m, PILL if m == 2 else float(m)) for m in range(5)], wait=None)
        elif self.kind == "metric":
            self.answer = self.evaluate(host, "pill")

    def done(self, host):
        """Until the work has come to its end."""
        if self.fault == "constructor":
            wait_for("its instance is held back", lambda: self.held_back(host), 60)
        elif self.kind == "source":
            wait_for("all rows", lambda: self.count(host, "datastore.echoed") >= ROWS - self.poison, 60)
        elif self.kind == "notifier":
            wait_for("all messages", lambda: self.settled(host, "d0", "pill"), 60)
        elif self.kind == "model":
            wait_for("all scores", lambda: self.judged(host) >= MINUTES + 5 - self.poison, 60)

    def ask(self, host):
        """Once what done() asks again and again."""
        if self.fault == "constructor":
            self.held_back(host)
        elif self.kind == "source":
            self.count(host, "datastore.echoed")
        elif self.kind == "notifier":
            self.settled(host, "d0", "pill")
        elif self.kind == "model":
            self.judged(host)

    def conditions(self, host):
        own = host.api("GET", f"/workspaces/{self.ws}").json["id"]
        return [i["condition"] for i in host.api("GET", "/system").json["instances"] if i["workspace"] == own]

    def judge(self, host):
        """The row that kills is put aside, and nothing else."""
        letters = lambda: host.api("GET", f"/workspaces/{self.ws}/dead-letters").json["items"]
        with contextlib.suppress(Exception):
            wait_for("the dead letter", lambda: len(letters()) >= self.poison, 10)
        equal(len(letters()), self.poison, f"{self.kind} {self.fault}: dead letters")
        if self.fault == "constructor":
            waiting = set(self.deliveries(host).values()) if self.kind == "notifier" else set()
            check(not waiting & {"failed", "sent"}, "messages wait for the plugin", waiting)
        elif self.kind == "source":
            numbers = host.sql(f"SELECT count(*), count(DISTINCT n) FROM datastore.echoed_wid{self.wid}")[0]
            equal(numbers, [str(ROWS - self.poison)] * 2, f"source {self.fault}: rows, different ones")
        elif self.kind == "notifier":
            expected = {"d0": "sent", "pill": "failed" if self.poison else "sent"}
            states = {d: "sent" if s == "accepted" else s for d, s in self.deliveries(host).items()}
            equal(states, expected, f"notifier {self.fault}: deliveries")
        elif self.kind == "metric":
            equal(self.answer, 409 if self.poison else 200, f"metric {self.fault}: the answer")
            equal(self.evaluate(host, "d0"), 200, "another evaluation afterwards")
        elif self.kind == "model":
            equal(self.judged(host), MINUTES + 5 - self.poison, f"model {self.fault}: scores")
        found = self.conditions(host)
        held = set(found) <= self.held if self.fault == "constructor" else "quarantined" not in found
        check(held, f"{self.kind} {self.fault}: what it is held back as", found)
        check(self.conditions(host), "its instance is listed")

    def remove(self, host):
        host.cli("workspace", "delete", self.ws, "--confirm", self.ws)
