"""What the tests of sinks to message brokers share: a store whose rows go out."""
import json

import harness
from harness import check, wait_for
from far_side import STATE_S, WS

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
      properties: {time: {type: string, format: date-time}, device: {type: string}, value: {type: number}, text: {type: string}}
    time: time
    entity: [device]
    accept: {past: any, future: any}
sinks:
"""


def started(plugin, config=None, sinks=None, **secrets):
    """A host with a sink `out`, or several by their names."""
    host = harness.Host().start()
    path = host.folder / "out.yaml"
    entries = {name: {"plugin": f"org.penstock.connector.{plugin}", "from": "datastore:readings", "config": one,
                      "batch": {"rows": 200, "every": "100ms"}} for name, one in (sinks or {"out": config}).items()}
    path.write_text(TEMPLATE + "".join(f"  {n}: {json.dumps(e)}\n" for n, e in entries.items()))
    host.apply(path)
    host.workspace(WS, "out")
    for name, value in secrets.items():
        host.cli("secret", "set", name, "-w", WS, "--file", "-", stdin=value)
    return host


def reading(n, **more):
    return {"time": "2026-01-01T%02d:%02d:%02dZ" % (n // 3600, n // 60 % 60, n % 60), "device": f"d{n % 3}", "value": float(n), **more}


def put(host, numbers, **more):
    host.ingest(WS, "readings", [reading(n, **more) for n in numbers])


def sink(host, name="out"):
    return host.api("GET", f"/workspaces/{WS}/sinks/{name}").json


def wait_sink(host, state, reason="", timeout=8, name="out"):
    def there():
        s = sink(host, name)
        return s["state"] == state and reason in (s.get("error") or "")
    try:
        wait_for(f"the sink {name} is {state} ({reason})", there, timeout)
    except harness.Failed as why:
        raise harness.Failed(f"{why}: {sink(host, name)}") from None


def wait_settled(host, delivered, name="out"):
    def there():
        s = sink(host, name)
        return s["delivered"] >= delivered and s
    try:
        wait_for(f"{delivered} rows are delivered", there, 40)
    except harness.Failed as why:
        raise harness.Failed(f"{why}: {sink(host, name)}") from None


def states(host, expected, count):
    """`expected`: (sink, state, reason). Within seconds of the first rows each says how it is; those that are ok deliver them."""
    put(host, range(count))
    for name, now, reason in expected:
        wait_sink(host, now, reason, STATE_S, name)
    for name, now, _ in expected:
        if now == "ok":
            wait_settled(host, count, name)


def all_there(rows, ids, expected):
    """`rows`: values that came, `ids`: theirs. Each at least once, and one id for each row however often it came."""
    check(set(rows) >= set(float(n) for n in expected), "rows that are missing", sorted(set(map(float, expected)) - set(rows))[:10])
    by_id = {}
    for value, one in zip(rows, ids):
        by_id.setdefault(one, set()).add(value)
    check(all(len(v) == 1 for v in by_id.values()) and len(by_id) == len(set(rows)), "an id is of one row",
          [i for i, v in by_id.items() if len(v) > 1][:5])
