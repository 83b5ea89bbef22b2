"""MQTT from brokers that take turns, each of them real: what each took is a row, whichever serves."""
import json

import harness
import mqtt_peer
import streams
from harness import check
from mqtt_peer import STATE_S, WS, state, wait_state

MAP = {"device": "$topic[1]", "time": {"from": "t", "time": "unix_ms"}}


def message(topic, n):
    return f"{topic}/p{n % 3}/state", json.dumps(streams.message(n))


def fallback():
    """A second broker serves when the first is silent, and the first again when it is back: what each of them took is a row, of
    QoS 2 once, over changes between them and kills of the host."""
    first, second = mqtt_peer.Broker("max_inflight_messages 0").start(), mqtt_peer.Broker("max_inflight_messages 0").start()
    strict = mqtt_peer.Broker(f"password_file {mqtt_peer.with_password(harness.folder())}", anonymous=False).start()
    door = mqtt_peer.Door(first.port)
    host = harness.Host().start()
    common = {"broker": door.url, "fallbacks": [second.url], "patience_s": 1, "return_s": 1, "in_flight": 300}
    streams.apply(host, "mqtt", MAP, once={"config": {**common, "topics": ["once/+/state"], "qos": 2}, "into": "datastore:appended"},
          least={"config": {**common, "topics": ["least/+/state"], "version": "3.1.1"}},
          stranger={"config": {"broker": strict.url, "fallbacks": [second.url], "topics": ["none/#"]}},
          neither={"config": {"broker": strict.url, "fallbacks": [f"mqtt://127.0.0.1:{mqtt_peer.free_port()}"], "topics": ["none/#"]}})
    host.workspace(WS, "streams")
    both, sent = ("once", "least"), 0

    def publish(broker, count):
        nonlocal sent
        peer = mqtt_peer.Peer(broker.port)
        peer.publish((message("once", n) for n in range(sent, sent + count)), qos=2)
        peer.publish((message("least", n) for n in range(sent, sent + count)), qos=1)
        peer.close()
        sent += count
    for name in both:
        wait_state(host, name, "ok", timeout=20)
    wait_state(host, "stranger", "degraded", f"the fallback 127.0.0.1:{second.port} serves")
    check("not authorized" in state(host, "stranger")[1], "and why", state(host, "stranger"))
    wait_state(host, "neither", "needs_you", "not authorized")
    for killed in (True, False):
        publish(first, 300)
        door.open = False
        publish(first, 100)  # it believes that it has sent them
        for name in both:
            wait_state(host, name, "degraded", "the fallback")
        publish(second, 300)
        if killed:
            host.kill()
            publish(second, 50)
            host.start()  # the first one does not answer, the second one has them
            wait_state(host, "once", "degraded", "the fallback", timeout=15)
        streams.wait_stored(host, "appended", range(sent - 300, sent))
        door.open = True
        for name in both:
            wait_state(host, name, "ok", timeout=STATE_S + 5)
        streams.wait_stored(host, "appended", range(sent))
        streams.wait_stored(host, "keyed", range(sent))
    streams.all_once(host, "appended", range(sent))
    said = host.cli("connector", "check", "stranger", "-w", WS, code=7)
    check("not authorized" in said.errors, "each broker is checked", said)


harness.main(fallback)
