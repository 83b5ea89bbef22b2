"""Rows that go out: every row once or more, in the order of _seq, whatever the far side, the host and the writers do meanwhile."""
import hashlib
import hmac
import http.server
import json
import subprocess
import threading
import time

from harness import Host, Sink, at_end, check, equal, main, say, wait_for

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: out, version: 1.0.0}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: true
      properties: {{time: {{type: string, format: date-time}}, device: {{type: string}}, value: {{type: number}}}}
    time: time
    entity: [device]
    {key}
    accept: {{past: any, future: any}}
sinks:
  lake:
    plugin: org.penstock.connector.webhook-out
    from: datastore:readings
    config: {{url: "{url}", timeout_ms: 2000{config}}}
    batch: {{rows: {rows}, every: 100ms}}
"""
KEYED = "unique: [device, time]"


class Far(Sink):
    """Takes posts of rows as `mode` says: ok, down (503), hang, wrong (400 while a row has the value 13), named (says which)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            far = self.server.sink
            text = body.decode()
            rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
            bad = [i for i, row in enumerate(rows) if row.get("value") == 13]
            status, answer, more = 200, b"", {}
            if far.mode == "hang":
                far.released.wait(20)
            if far.mode in ("hang", "down"):
                status, more = 503, {"Retry-After": "1"} if far.retry_after else {}
            elif far.mode == "wrong" and bad:
                status, answer = 400, b"value 13 is not taken"
            elif far.mode == "never":
                status, answer = 422, b"nothing is taken here"
            elif far.mode == "named":
                answer = json.dumps({"refused": [{"row": i, "reason": "it is thirteen"} for i in bad]}).encode()
            if far.mode == "deaf":  # takes them, and never says so
                far.keep({"id": self.headers["Idempotency-Key"], "headers": dict(self.headers), "rows": rows, "body": body})
                self.close_connection = True
                return
            if status == 200:
                far.keep({"id": self.headers["Idempotency-Key"], "headers": dict(self.headers), "rows": rows, "body": body})
            far.asked += 1
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words):
            pass

    def __init__(self, mode="ok"):
        self.mode, self.asked, self.retry_after, self.released = mode, 0, False, threading.Event()
        super().__init__(Far.Handler)
        at_end(self.released.set)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/rows"

    def rows(self):
        return [row for batch in self.all() for row in batch["rows"]]

    def once(self):
        """What is left when a receiver drops batches, and rows, that it has."""
        seen = {}
        for batch in self.all():
            for row in batch["rows"]:
                seen.setdefault(row["_seq"], row)
        return [seen[seq] for seq in sorted(seen)]


def started(far, key="", config="", rows=100, **more):
    host = Host(**more).start()
    path = host.folder / "out.yaml"
    path.write_text(TEMPLATE.format(url=far.url, key=key, config=config, rows=rows))
    host.apply(path)
    host.workspace("one", "out")
    return host


def reading(n, device="d0", value=1.0, **more):
    return {"time": "2026-01-01T%02d:%02d:%02dZ" % (n // 3600, n // 60 % 60, n % 60), "device": device, "value": value, **more}


def sink_of(host):
    return host.api("GET", "/workspaces/one/sinks/lake").json


def in_order(far):
    seqs = list(dict.fromkeys(row["_seq"] for row in far.rows()))  # those that came again count once
    check(seqs == sorted(seqs), "rows came out of order", seqs[:50])


def rows_go_out_signed_and_in_order():
    far = Far()
    host = started(far, config=", secret: lake_key")
    host.cli("secret", "set", "lake_key", "-w", "one", stdin="s3cr3t-of-the-lake")
    for first in range(0, 500, 50):
        host.ingest("one", "readings", [reading(n, "d%d" % (n % 5), n, extra=n) for n in range(first, first + 50)])
    wait_for("500 rows", lambda: len(far.rows()) >= 500)
    in_order(far)
    equal(sorted(row["value"] for row in far.rows()), sorted(float(n) for n in range(500)), "the values")
    row = far.rows()[0]
    equal(row["_extra"], {"extra": row["value"]}, "what was added")
    for batch in far.all():
        first, last = (int(n) for n in batch["id"].rsplit("/", 1)[1].split("-"))
        check(all(first <= row["_seq"] <= last for row in batch["rows"]), "rows are within the bounds of their id", batch["id"])
        equal(batch["headers"]["Penstock-Rows"], str(len(batch["rows"])), "how many rows")
        parts = dict(p.split("=", 1) for p in batch["headers"]["Penstock-Signature"].split(","))
        equal(parts["v1"], hmac.new(b"s3cr3t-of-the-lake", parts["t"].encode() + b"." + batch["body"], hashlib.sha256).hexdigest(),
              "the signature")
    equal(len({batch["id"] for batch in far.all()}), len(far.all()), "every batch has an id of its own")
    shown = wait_for("it is settled", lambda: (s := sink_of(host))["delivered"] == 500 and s)
    equal((shown["state"], shown["refused"], shown["lag_seconds"], shown["error"]), ("ok", 0, 0, None), "the sink")
    check("s3cr3t" not in host.log(), "the secret is in no log")
    listed = host.cli("sink", "list", "-w", "one").text
    check("lake" in listed and "datastore:readings" in listed, "penstock sink list", listed)
    metrics = host.request("GET", "/metrics", admin=True).text
    check('penstock_sink_rows_total{workspace="one",sink="lake",outcome="delivered"} 500' in metrics, "/metrics",
          [line for line in metrics.splitlines() if "sink" in line])
    host.stop()


def a_row_that_is_committed_late_is_not_passed_over():
    """Two streams of a store: one writer is held while the other commits rows with higher numbers."""
    far = Far()
    host = started(far)
    host.ingest("one", "readings", [reading(0, "d%d" % n) for n in range(40)])
    wait_for("the first rows", lambda: len(far.rows()) == 40)
    held = host.sql("SELECT shard FROM penstock.position WHERE store = 'readings' ORDER BY 1")[0]
    lock = subprocess.Popen(["psql", "-Xq", "-c", "BEGIN", "-c", "SELECT 1 FROM penstock.position WHERE store = 'readings' AND shard = "
                             f"{held[0]} FOR UPDATE", "-c", "SELECT pg_sleep(60)"], env=host.psql_environment(),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at_end(lock.kill)
    wait_for("the lock", lambda: host.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"))
    host.ingest("one", "readings", [reading(1, "d%d" % n) for n in range(40)], wait=None)
    before = wait_for("the other writer's rows", lambda: (n := int(host.sql(
        "SELECT count(*) FROM datastore.readings_wid1 WHERE time = '2026-01-01T00:00:01Z'")[0][0])) and n)
    check(0 < before < 40, f"one writer is held, the other is not: {before} rows")
    host.ingest("one", "readings", [reading(2, "d%d" % n) for n in range(40)], wait=None)
    time.sleep(1.5)  # ten turns of the sink: what it might pass over lies between rows that are there
    equal(len(far.rows()), 40, "what goes out while rows with lower numbers are on their way")
    host.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
    lock.wait()
    wait_for("all rows", lambda: len(far.once()) == 120)
    in_order(far)
    equal(len(far.rows()), 120, "no row twice")
    host.stop()


def a_dead_sink_slows_nothing_and_loses_nothing():
    far = Far("hang")
    host = started(far, rows=500)
    took = []
    for first in range(0, 1000, 20):
        began = time.monotonic()
        host.ingest("one", "readings", [reading(n, "d%d" % (n % 4), n) for n in range(first, first + 20)])
        took.append(time.monotonic() - began)
    shown = wait_for("it is down", lambda: (s := sink_of(host))["state"] == "down" and s, timeout=20)
    check(shown["lag_seconds"] > 0 and shown["error"] and shown["delivered"] == 0, "it says why, and since when", shown)
    backlog = host.api("GET", "/workspaces/one/status").json["stores"][0]["waiting"]
    equal(backlog, 0, "the journal holds nothing for a sink")
    far.mode, far.retry_after = "down", True
    wait_for("it is told to come again", lambda: far.asked >= 1, timeout=70)
    far.mode = "ok"
    far.released.set()
    wait_for("all rows", lambda: len(far.once()) == 1000, timeout=90)
    in_order(far)
    began = []
    for first in range(1000, 2000, 20):
        at = time.monotonic()
        host.ingest("one", "readings", [reading(n, "d%d" % (n % 4), n) for n in range(first, first + 20)])
        began.append(time.monotonic() - at)
    worst, usual = sorted(took)[int(len(took) * 0.95)], sorted(began)[int(len(began) * 0.95)]
    say(f"ingest with a dead sink: p95 {worst * 1e3:.1f} ms, with a live one {usual * 1e3:.1f} ms")
    check(worst < 4 * usual + 0.25, f"a dead sink slows ingest: {worst:.3f} s against {usual:.3f} s")
    wait_for("it has caught up", lambda: (s := sink_of(host))["delivered"] == 2000 and s["state"] == "ok" and s["lag_seconds"] == 0)
    equal(sorted(row["value"] for row in far.once()), [float(n) for n in range(2000)], "every row")
    host.stop()


def a_killed_host_sends_the_same_batch_again():
    far = Far("deaf")
    host = started(far, key=KEYED, rows=30)
    host.ingest("one", "readings", [reading(n, value=n) for n in range(100)])
    wait_for("a batch that is not confirmed", lambda: far.all())
    host.kill()
    tried = {batch["id"]: batch["rows"] for batch in far.all()}
    equal(len(tried), 1, "one batch at a time")
    far.mode = "ok"
    host.start()
    host.ingest("one", "readings", [reading(n, value=n) for n in range(100, 150)])
    wait_for("all rows", lambda: len(far.once()) == 150)
    again = [batch for batch in far.all() if batch["id"] in tried]
    check(len(again) >= 2, "the batch came again under its id", [b["id"] for b in far.all()])
    check(all(batch["rows"] == tried[batch["id"]] for batch in again), "with the same rows")
    by_id = {}
    for batch in far.all():
        by_id.setdefault(batch["id"], batch["rows"])
    equal(sum(len(rows) for rows in by_id.values()), 150, "who drops batches that it has gets each row once")
    host.stop()


def refused_rows_are_dead_letters():
    for mode in ("named", "wrong"):
        far = Far(mode)
        host = started(far)
        values = [13 if n in (0, 40, 41, 99) else n + 100 for n in range(100)]
        host.ingest("one", "readings", [reading(n, value=v) for n, v in enumerate(values)])
        wait_for("96 rows", lambda: len(far.once()) >= 96 and sink_of(host)["refused"] == 4)
        taken = {row["value"] for row in far.once()}
        check(taken >= {float(v) for v in values if v != 13}, "the others are there")
        letters = host.cli_json("deadletter", "list", "-w", "one")
        letters = letters["items"] if isinstance(letters, dict) else letters
        equal(sorted({letter["store"] for letter in letters}), ["sink:lake"], "whose letters they are")
        equal((len(letters), {letter["code"] for letter in letters}), (4, {"refused"}), "the letters")
        check(all("thirteen" in letter["detail"] or "not taken" in letter["detail"] for letter in letters), "the far side's words",
              letters[0])
        equal(sink_of(host)["state"], "ok", "the sink goes on")
        host.ingest("one", "readings", [reading(n, value=7) for n in range(200, 210)])
        wait_for("ten more", lambda: sum(row["value"] == 7 for row in far.once()) == 10)
        host.stop()
        host.close()


def who_refuses_everything_buries_nothing():
    far = Far("never")
    host = started(far)
    host.ingest("one", "readings", [reading(n, value=n) for n in range(50)])
    shown = wait_for("it is down", lambda: (s := sink_of(host))["state"] == "down" and s)
    check("whatever rows it is given" in shown["error"] and "nothing is taken here" in shown["error"], "the reason", shown)
    equal((shown["delivered"], shown["refused"]), (0, 0), "nothing is settled")
    far.mode = "ok"
    host.cli("sink", "resume", "lake", "-w", "one")
    wait_for("all rows", lambda: sink_of(host)["delivered"] == 50)
    equal(sorted({row["value"] for row in far.rows()}), [float(n) for n in range(50)], "the rows")
    equal(host.sql("SELECT count(*) FROM penstock.dead_letter_wid1"), [["0"]], "dead letters")
    out = host.cli("sink", "check", "lake", "-w", "one")
    check("no check of its own" in out.errors + out.text, "penstock sink check", out.errors, out.text)
    host.stop()


def corrections_come_as_they_are():
    far = Far()
    host = started(far, key=KEYED)
    equal(host.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'readings__seq_wid1'"), [["1"]], "an index on _seq")
    host.ingest("one", "readings", [reading(n, value=n) for n in range(20)])
    wait_for("20 rows", lambda: len(far.rows()) == 20)
    host.cli("sink", "pause", "lake", "-w", "one")
    wait_for("it is paused", lambda: sink_of(host)["state"] == "paused")
    host.ingest("one", "readings", [reading(n, value=50) for n in range(5)])
    host.ingest("one", "readings", [reading(n, value=60) for n in range(3)])
    host.cli("sink", "resume", "lake", "-w", "one")
    wait_for("the corrected rows", lambda: len(far.rows()) == 25)
    newest = {}
    for row in far.rows():
        newest[row["time"]] = max(newest.get(row["time"], (0, 0)), (row["_seq"], row["value"]))
    equal([v for _, v in sorted(newest.values(), key=lambda pair: pair[0])][-5:], [50.0, 50.0, 60.0, 60.0, 60.0],
          "the highest _seq of a key has its value")
    host.stop()


def a_wrong_sink_says_so():
    far = Far()
    host = Host().start()
    path = host.folder / "out.yaml"
    good = TEMPLATE.format(url=far.url, key="", config="", rows=100)
    for text, words in ((good.replace("datastore:readings", "datastore:reading"), "reading"),
                        (good.replace("webhook-out", "webhook-ot"), "there is no sink plugin"),
                        (good.replace("org.penstock.connector.webhook-out", "org.penstock.connector.csv"), "there is no sink plugin"),
                        (good.replace("rows: 100,", "rows: 100001,"), "100000"),
                        (good.replace("rows: 100,", "rows: 0,"), "1")):
        path.write_text(text)
        out = host.cli("template", "validate", path, "--server", code=None)
        if out.returncode == 2:
            out = host.cli("template", "apply", "-f", path, "--yes", code=None)
        check(out.returncode != 0 and words in out.errors + out.text, "refused with the reason", out.errors, out.text)
    host.cli("sink", "show", "nobody", "-w", "none", code=4)
    host.stop()


main(rows_go_out_signed_and_in_order, a_row_that_is_committed_late_is_not_passed_over, a_dead_sink_slows_nothing_and_loses_nothing,
     a_killed_host_sends_the_same_batch_again, refused_rows_are_dead_letters, who_refuses_everything_buries_nothing, corrections_come_as_they_are, a_wrong_sink_says_so)
