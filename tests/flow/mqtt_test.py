"""MQTT from a real broker: no message that was published is lost by restarts of broker and host, and the connector's state
is right within seconds, with its reason."""
import json

import harness
import mqtt_peer
from harness import check, equal, say, wait_for

HERE = harness.SOURCE / "tests" / "flow"
STATE_S = 5


def message(n, device="p1"):
    return f"plant/{device}/messages", json.dumps({"time": f"2026-11-20T00:{n // 60 % 60:02d}:{n % 60:02d}Z",
                                                   "device": device, "n": n})


def source_of(host, ws="w", name="pumps"):
    return host.api("GET", f"/workspaces/{ws}/connectors/{name}").json


def wait_state(host, state, ws="w", reason=None, timeout=STATE_S, name="pumps"):
    def there():
        s = source_of(host, ws, name)
        now = "ok" if s["state"] in ("live", "backfilling") else s["state"]
        return s if now == state and (not reason or reason in (s.get("error") or "")) else None
    return wait_for(f"the source of {ws} is {state} ({reason})", there, timeout)


def stored(host, ws="w"):
    return sorted(r["n"] for r in host.rows(ws, "datastore:messages"))


def started(broker, **params):
    host = harness.Host().start()
    host.apply(HERE / "mqtt.yaml")
    host.workspace("w", "mqtt", broker=broker.url, **params)
    wait_state(host, "ok", timeout=20)
    return host


def every_message_once():
    broker = mqtt_peer.Broker().start()
    host = started(broker)
    peer = mqtt_peer.Peer(broker.port)
    peer.publish(message(n) for n in range(500))
    wait_for("500 rows are stored", lambda: len(stored(host)) >= 500)
    equal(stored(host), list(range(500)), "the rows")


harness.main(every_message_once)
