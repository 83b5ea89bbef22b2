"""A row that kills its plugin, in a source, a model, a metric engine and a notifier and a sink, while another workspace is under load: only
that row is put aside, with the reason; all others come through; the host and the other workspace notice nothing."""
import json
import shutil
import threading
import time

import harness
import templates
from cells import instance
from harness import check, equal, say, wait_for

PLUGINS = ["echo_source", "echo_model", "echo_metric", "echo_notifier", "echo_sink"]
PILL = 666

ROWS, DEVICES, MINUTES = 30000, 5, 60


def trouble(what):
    return {"trouble": {"what": what, "value": PILL}}


def template():
    return templates.template(
        "poison",
        datastores={"echoed": templates.echoed(),
                    "readings": templates.readings({"value": "number"}, ["value"], unique=["device_id", "time"])},
        featurestores={"minutes": templates.rollup("readings", "1m", "max(value) AS value")},
        models={"judge": templates.judge("org.penstock.test.echo-model", "minutes", context=4, config={"window": 4, **trouble("abort")})},
        inferencestores={"judged": templates.judged({"score": "number"})},
        metrics={"total": {"plugin": "org.penstock.test.echo-metric", "config": trouble("exit"),
                           "inputs": {"x": {"sql": "SELECT value FROM datastore:readings WHERE device_id = :device",
                                            "params": {"device": "$device"}}},
                           "params": {"device": {"type": "string", "default": "d0"}}, "definition": {"sum": "value"}},
                 "seen": {"value": "n", "labels": ["device_id"],
                          "sql": "SELECT device_id, count(*) AS n FROM datastore:readings GROUP BY 1"}},
        connectors={"echo": {"plugin": "org.penstock.test.echo-source", "into": "datastore:echoed",
                             "config": {"rows": ROWS, "one_stream": True, **trouble("segv")}}},
        sinks={"out": {"plugin": "org.penstock.test.echo-sink", "from": "datastore:readings", "config": trouble("segv"),
                       "paused": True}},
        notifiers={"hook": {"plugin": "org.penstock.test.echo-notifier",
                            "config": {"trouble": {"what": "hang", "text": '"device_id":"d3"'}}}},
        alerts={"any": templates.alert("seen", "hook")})


class Load(threading.Thread):
    """Rows into the other workspace until it is told to stop; every one of them is acknowledged."""

    def __init__(self, host):
        super().__init__(daemon=True)
        self.host, self.sent, self.slowest, self.failed, self.stopping = host, 0, 0.0, None, False

    def run(self):
        try:
            while not self.stopping:
                rows = [reading(f"l{self.sent % 7}", self.sent + i, 1.0) for i in range(100)]
                began = time.monotonic()
                self.host.ingest("other", "readings", rows, wait=None)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.sent += 100
        except Exception as e:  # pylint: disable=broad-except
            self.failed = e

    def end(self):
        self.stopping = True
        self.join()
        check(self.failed is None, "the other workspace takes rows all the time", self.failed)


def reading(device, second, value):
    at = time.gmtime(1767225600 + second)
    return {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", at), "device_id": device, "value": value}


def letters(host, store):
    items = host.api("GET", f"/workspaces/ws/dead-letters?filter[store]={store}").json["items"]
    return [host.api("GET", f"/workspaces/ws/dead-letters/{i['id']}").json for i in items]


def the_one_letter(host, store, plugin, attempts):
    found = wait_for(f"a dead letter of {store}", lambda: letters(host, store), 60)
    equal(len(found), 1, f"dead letters of {store}")
    letter = found[0]
    equal(letter["code"], "poison", "its code")
    check(f"org.penstock.test.{plugin} 1.0.0 (" in letter["detail"] and f"{attempts} attempts" in letter["detail"],
          "the letter names plugin, version and attempts", letter)
    say(f"{store}: {letter['body'][:60]}…: {letter['detail']}")
    return letter


def source(host):
    wait_for("what it read is stored", lambda: host.sql("SELECT sum(received) FROM penstock.ledger_wid1 WHERE store = 'echoed'")
             == [[str(ROWS)]], 30)
    equal(count(host, "datastore.echoed_wid1"), ROWS - 1, "rows")
    equal(host.sql(f"SELECT count(*), count(DISTINCT n), count(*) FILTER (WHERE n = {PILL}) FROM datastore.echoed_wid1"),
          [[str(ROWS - 1), str(ROWS - 1), "0"]], "rows, different ones, the poison")
    letter = the_one_letter(host, "echoed", "echo-source", "")
    equal(json.loads(letter["body"]), {"n": PILL}, "what is kept of it")
    check(instance(host, "connector:echo")["condition"] != "quarantined", "the connector is not quarantined")


def count(host, table):
    return int(host.sql(f"SELECT count(*) FROM {table}")[0][0])


def model(host):
    rows = [reading(f"d{d}", m * 60, PILL if (d, m) == (2, 31) else m) for d in range(DEVICES) for m in range(MINUTES)]
    host.ingest("ws", "readings", rows)
    host.cli("model", "train", "judge", "-w", "ws")
    all_but_one = DEVICES * MINUTES - 1
    wait_for("all features but one are scored", lambda: count(host, "inferencestore.judged_wid1") == all_but_one, 60)
    letter = the_one_letter(host, "model:judge", "echo-model", "")
    body = json.loads(letter["body"])
    equal((body["_entity"], body["value"]), ("d2", PILL), "the row that is kept")
    deaths = instance(host, "model:judge")["deaths"]
    host.ingest("ws", "readings", [reading("d2", 32 * 60 + 30, 40.0)])
    wait_for("its neighbour is scored again", lambda: host.sql(
        "SELECT 1 FROM inferencestore.judged_wid1 g JOIN featurestore.minutes_wid1 f USING (bucket, device_id)"
        " WHERE f.value = 40 AND g._features > now() - interval '1 minute' AND g.score > 0"), 60)
    equal(instance(host, "model:judge")["deaths"], deaths, "deaths after its neighbour was scored again")
    host.ingest("ws", "readings", [reading("d2", 31 * 60, 1.0)])
    wait_for("the corrected row is scored", lambda: count(host, "inferencestore.judged_wid1") == all_but_one + 1, 60)


def metric(host):
    host.ingest("ws", "readings", [reading("pill", 0, 1.0), reading("pill", 1, PILL), reading("pill", 2, 3.0)])
    run = lambda expect, device: host.api("POST", "/workspaces/ws/metrics/total:run", {"params": {"device": device}},
                                          expect=expect)
    problem = run(409, "pill").json
    check("kills the plugin" in problem["detail"], "the answer says why there is no value", problem)
    letter = the_one_letter(host, "metric:total", "echo-metric", "")
    equal(json.loads(letter["body"]), {"value": PILL}, "the row that is kept")
    deaths = instance(host, "metric:total")["deaths"]
    run(409, "pill")
    run(200, "d0")
    equal(instance(host, "metric:total")["deaths"], deaths, "deaths after the same question again")
    host.ingest("ws", "readings", [reading("pill", 1, 2.0)])
    rows = run(200, "pill").json
    equal(rows["rows"][0][2], 6, "the sum once the row is corrected")


def notifier(host):
    deliveries = lambda: {d["labels"]["device_id"]: d for d in host.api("GET", "/workspaces/ws/deliveries").json["items"]}
    wait_for("all messages are settled", lambda: (d := deliveries()) and len(d) >= DEVICES and
             all(x["state"] in ("sent", "failed") for x in d.values()) and d, 60)
    states = {k: d["state"] for k, d in deliveries().items()}
    equal({k for k, s in states.items() if s == "failed"}, {"d3"}, "messages that were not sent")
    check("kills the plugin" in deliveries()["d3"]["error"], "the delivery says why", deliveries()["d3"])
    letter = the_one_letter(host, "notifier:hook", "echo-notifier", 2)
    equal(json.loads(letter["body"])["labels"], {"device_id": "d3"}, "the message that is kept")


def sink(host):
    """Last, because by now every other row of that value is corrected."""
    host.ingest("ws", "readings", [reading("sunk", n, PILL if n == 123 else n) for n in range(200)])
    host.cli("sink", "resume", "out", "-w", "ws")
    rows = count(host, "datastore.readings_wid1")
    now = lambda: host.api("GET", "/workspaces/ws/sinks/out").json
    wait_for("all rows but one are delivered", lambda: now()["delivered"] == rows - 1, 60)
    letter = the_one_letter(host, "sink:out", "echo-sink", "")
    equal(json.loads(letter["body"])["device_id"], "sunk", "the row that is kept")
    deaths = instance(host, "sink:out")["deaths"]
    host.ingest("ws", "readings", [reading("sunk", 300, 1.0)])
    wait_for("the sink goes on", lambda: (s := now())["delivered"] == rows and s["state"] == "ok")
    equal(instance(host, "sink:out")["deaths"], deaths, "deaths after that")


def poison_kills_nothing_but_itself():
    plugins = harness.folder()
    for name in PLUGINS:
        shutil.copy(harness.BUILD / "tests" / "plugins" / f"{name}.so", plugins)
    host = harness.Host(plugins=[plugins], settings=["--plugins-deadline-send", "1000"])
    host.start()
    templates.publish(host, template())
    host.workspace("ws", "poison")
    host.workspace("other", "poison")
    load = Load(host)
    load.start()
    for part in (source, model, metric, notifier, sink):
        began = time.monotonic()
        part(host)
        say(f"{part.__name__}: {time.monotonic() - began:.1f} s")
    load.end()
    wait_for("the other workspace's rows are all there",
             lambda: count(host, "datastore.readings_wid2") == load.sent, 60)
    say(f"the other workspace: {load.sent} rows, slowest request {load.slowest * 1000:.0f} ms")
    for name in ("model:judge", "metric:total", "notifier:hook", "sink:out"):
        check(instance(host, name)["condition"] != "quarantined", f"{name} works on", instance(host, name))
    equal(host.process.poll(), None, "the host's exit code")


harness.main(poison_kills_nothing_but_itself)
