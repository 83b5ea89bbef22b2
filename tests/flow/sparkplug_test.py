"""Sparkplug B from a real broker: births name what later messages number, a death is a row, and whoever's births were missed
is asked for them, so that nothing stays without its name."""
import struct

import harness
import mqtt_peer
from harness import check, equal, wait_for
from mqtt_peer import WS, wait_state

TEMPLATE = harness.SOURCE / "tests" / "flow" / "sparkplug.yaml"
AT_MS = 1774720800000
INT32, DOUBLE, STRING, BOOLEAN = 3, 10, 12, 11


def varint(n):
    n, out = n & (1 << 64) - 1, b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def metric(value, kind, name=None, alias=None):
    data = {INT32: lambda: number(10, value & 0xFFFFFFFF), BOOLEAN: lambda: number(14, value),
            DOUBLE: lambda: varint(13 << 3 | 1) + struct.pack("<d", value), STRING: lambda: block(15, value.encode())}[kind]()
    return (block(1, name.encode()) if name else b"") + (number(2, alias) if alias is not None else b"") + number(4, kind) + data


def payload(seq, *metrics, at=AT_MS):
    return number(1, at + seq) + b"".join(block(2, m) for m in metrics) + number(3, seq)


def births(node):
    """A node with a metric, and a device of it with three."""
    return [(f"spBv1.0/plant/NBIRTH/{node}", payload(0, metric(0, BOOLEAN, "Node Control/Rebirth"), metric(20.5, DOUBLE, "temperature", 1))),
            (f"spBv1.0/plant/DBIRTH/{node}/pump", payload(1, metric(7, INT32, "rpm", 2), metric("p1", STRING, "name", 3), metric(1, BOOLEAN, "on", 4)))]


def stored(host, node):
    rows = host.sql(f"SELECT coalesce(device_id, ''), metric, value, text FROM datastore.metrics_wid1 WHERE node_id = '{node}' ORDER BY time, metric")
    return [(device, name, float(value) if value not in (None, "") else None, text or None) for device, name, value, text in rows]


def wait_stored(host, node, expected):
    try:
        wait_for(f"the rows of {node}", lambda: stored(host, node) == expected, 20)
    except harness.Failed as why:
        raise harness.Failed(f"{why}: {stored(host, node)}") from None


BORN = [("", "Node Control/Rebirth", 0, None), ("", "temperature", 20.5, None),
        ("pump", "name", None, "p1"), ("pump", "on", 1, None), ("pump", "rpm", 7, None)]


def asked(listener, node):
    """The next command is for that node, and asks for its births."""
    topic, command = listener.listen()
    equal((topic, command), (f"spBv1.0/plant/NCMD/{node}", block(2, block(1, b"Node Control/Rebirth") + number(4, BOOLEAN) + number(14, 1))),
          "the command")


def metrics():
    broker = mqtt_peer.Broker().start()
    listener, peer = mqtt_peer.Peer(broker.port, "listener"), mqtt_peer.Peer(broker.port)
    listener.subscribe("spBv1.0/+/NCMD/+")
    host = harness.Host().start()
    path = host.folder / "sparkplug.yaml"
    path.write_text(TEMPLATE.read_text() + "  nodes: {plugin: org.penstock.connector.mqtt, into: 'datastore:metrics', "
                    f"config: {{broker: '{broker.url}', topics: ['spBv1.0/#'], payload: sparkplug_b}}}}\n")
    host.apply(path)
    host.workspace(WS, "sparkplug")
    wait_state(host, "nodes", "ok", timeout=20)

    peer.publish(births("n1"))
    peer.publish([("spBv1.0/plant/DDATA/n1/pump", payload(2, metric(-2, INT32, alias=2), metric(0, BOOLEAN, alias=4))),
                  ("spBv1.0/plant/NDATA/n1", payload(3, metric(21.25, DOUBLE, alias=1))),
                  ("spBv1.0/plant/DDEATH/n1/pump", payload(4))])
    wait_stored(host, "n1", [*BORN, ("pump", "on", 0, None), ("pump", "rpm", -2, None), ("", "temperature", 21.25, None),
                             ("pump", "online", 0, None)])

    # A node that was born before we listened.
    peer.publish([("spBv1.0/plant/NDATA/n2", payload(9, metric(1.5, DOUBLE, alias=1)))])
    asked(listener, "n2")
    letters = wait_for("its metric is put aside", lambda: host.sql("SELECT detail FROM penstock.dead_letter_wid1"))
    check("a number that no birth has named" in letters[0][0], "why", letters)
    peer.publish(births("n2") + [("spBv1.0/plant/NDATA/n2", payload(2, metric(2.5, DOUBLE, alias=1)))])
    wait_stored(host, "n2", [*BORN, ("", "temperature", 2.5, None)])

    # A message that was lost on the way: what came is taken, and the births are asked for.
    peer.publish(births("n3") + [("spBv1.0/plant/NDATA/n3", payload(5, metric(3.5, DOUBLE, alias=1)))])
    asked(listener, "n3")
    wait_stored(host, "n3", [*BORN, ("", "temperature", 3.5, None)])

    # After a restart of ours the names are not known any more.
    host.stop()
    host.start()
    wait_state(host, "nodes", "ok", timeout=20)
    peer.publish([("spBv1.0/plant/NDATA/n1", payload(5, metric(22.5, DOUBLE, alias=1)))])
    asked(listener, "n1")
    peer.publish([("spBv1.0/plant/NDATA/n1", b"\x12\x7fno protobuf")])
    wait_for("what is no Sparkplug is put aside", lambda: any("no Sparkplug B" in d for d, in host.sql("SELECT detail FROM penstock.dead_letter_wid1")))
    equal(mqtt_peer.state(host, "nodes")[0], "ok", "its state")


harness.main(metrics)
