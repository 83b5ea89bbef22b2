"""Rows that go out into a bucket of the test's own, and back in from there: each is in the bucket once, whatever the server, the answers
and the host do meanwhile."""
import csv
import gzip
import io
import json

import harness
from harness import check, equal, wait_for
from s3_server import Bucket, fault

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: lake, version: 1.0.0, title: Lake}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties: {time: {type: string, format: date-time}, device: {type: string}, value: {type: number}, note: {type: string}}
    time: time
    entity: [device]
    accept: {past: any, future: any}
  back:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties: {time: {type: string, format: date-time}, device: {type: string}, value: {type: number}, note: {type: [string, "null"]}}
    time: time
    entity: [device]
    accept: {past: any, future: any}
sinks:
  lake:
    plugin: org.penstock.connector.s3-out
    from: datastore:readings
    config: {url: "%(url)s", prefix: raw/, timeout_ms: 2000, credentials: {access_key: s3_access, secret_key: s3_secret}}
    batch: {rows: 50, every: 100ms}
  sheets:
    plugin: org.penstock.connector.s3-out
    from: datastore:readings
    config: {url: "%(sheets)s", format: csv, gzip: false}
    batch: {rows: 1000, every: 100ms}
connectors:
  back:
    plugin: org.penstock.connector.s3
    config: {url: "%(url)s", prefix: raw/, keys: sorted, every_s: 1, credentials: {access_key: s3_access, secret_key: s3_secret}}
    format: ndjson
    decode: {keep_unmapped: true}
    into: datastore:back
"""
NOTES = ("plain", "", 'with "quotes", and\nlines', "ä,ö;ü", None)


def row(n):
    note = {"note": NOTES[n % 5]} if NOTES[n % 5] is not None else {}
    return {"time": f"2026-03-01T{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z", "device": f"d{n % 3}", "value": n, **note}


def kept(bucket):
    """The rows of all objects, in the order of their keys."""
    rows = []
    for key in sorted(bucket.objects):
        rows += [json.loads(line) for line in gzip.decompress(bucket.objects[key][0]).decode().splitlines()]
    return rows


def state(host):
    return host.api("GET", "/workspaces/one/sinks/lake").json


def started():
    lake, sheets = Bucket(access="AKID", secret="s3cr3t").serve(), Bucket().serve()
    host = harness.Host().start()
    template = host.folder / "lake.yaml"
    template.write_text(TEMPLATE % {"url": lake.url, "sheets": sheets.url})
    host.apply(template)
    host.workspace("one", "lake")
    return host, lake, sheets


def set_keys(host, secret="s3cr3t"):
    host.cli("secret", "set", "s3_access", "-w", "one", stdin="AKID")
    host.cli("secret", "set", "s3_secret", "-w", "one", stdin=secret)


def wait_state(host, wanted, words):
    def probe():
        seen = state(host)
        return seen["state"] == wanted and words in (seen.get("error") or "")
    try:
        wait_for(f"the sink is {wanted}", probe, 5)
    except harness.Failed as e:
        raise harness.Failed(f"{e}: {state(host)}") from None


def once_each():
    host, lake, sheets = started()
    n = 0

    def feed(count):
        nonlocal n
        equal(host.ingest("one", "readings", [row(i) for i in range(n, n + count)])["stored"], count, "stored")
        n += count

    def wait_kept(what, within=30):
        try:
            wait_for(what, lambda: len(kept(lake)) >= n, within)
        except harness.Failed:
            equal([len(kept(lake)), state(host)], n, what)
        equal(len(kept(lake)), n, what)
    feed(120)
    wait_state(host, "needs_you", "secret")
    set_keys(host, "wrong")
    wait_state(host, "needs_you", "SignatureDoesNotMatch")
    set_keys(host)
    wait_kept("the first rows")

    turn = [0]

    def deaf(r, answer):  # it has the object, and its answer is lost, every other time
        turn[0] += 1
        return None if turn[0] % 2 else answer
    write = lake.write
    lake.write = lambda r, key: deaf(r, write(r, key))
    feed(200)
    wait_kept("rows whose answers are lost")
    check(turn[0] > 4, "batches were written again", turn)
    lake.write = lambda r, key: fault(503, "SlowDown", Retry_After="1")
    feed(60)
    wait_state(host, "down", "503 SlowDown")
    lake.write = lambda r, key: fault(403, "AccessDenied")
    wait_state(host, "needs_you", "s3:PutObject")
    lake.write = write
    host.cli("secret", "set", "s3_secret", "-w", "one", stdin="s3cr3t")  # tried at once
    wait_kept("what waited")

    for _ in range(3):
        written = len([r for r in lake.server.all() if r["method"] == "PUT"])
        feed(400)
        wait_for("it is in the middle", lambda: len([r for r in lake.server.all() if r["method"] == "PUT"]) > written + 1)
        host.kill()
        host.start()
    wait_kept("all of it", 60)
    rows = kept(lake)
    equal([r["_seq"] for r in rows], sorted({r["_seq"] for r in rows}), "each once, and keys in the order of the rows")
    strip = lambda r: (r["time"][:19], r["device"], r["value"], r.get("note"))
    equal(sorted((strip(r) for r in rows), key=str), sorted((strip(row(i)) for i in range(n)), key=str), "the rows themselves")

    wait_for("the same as CSV", lambda: sum(len(list(csv.DictReader(io.StringIO(o[0].decode(), newline="")))) for o in sheets.objects.values()) == n, 60)
    sheet = [r for o in sheets.objects.values() for r in csv.DictReader(io.StringIO(o[0].decode(), newline=""))]
    equal(sorted((r["time"][:19], r["device"], float(r["value"]), r["note"]) for r in sheet),
          sorted((r["time"][:19], r["device"], float(r["value"]), r.get("note") or "") for r in map(row, range(n))), "the sheets")
    back = lambda: host.sql("SELECT count(*), count(DISTINCT value) FROM datastore.back_wid1")[0]
    wait_for("and back again", lambda: back() == [str(n)] * 2)
    check("s3cr3t" not in host.log(), "no secret in the log")


harness.main(once_each)
