"""Rows that go out to Kafka: each is in the topic at least once, with one id however often it came, in the order of its key."""
import json

import harness
import kafka_peer
from harness import check, equal, say
from far_side import STATE_S, Stranger, free_port
from kafka_peer import VERSIONS
from streams import certificates
from streams_out import all_there, put, sink, started, wait_settled, wait_sink
from streams_out import states as expect


def rows_of(cluster, partitions):
    got = cluster.read("out", partitions)
    return [json.loads(m["value"])["value"] for m in got], [m["headers"]["penstock-id"] for m in got], got


def restarts():
    cluster = kafka_peer.Cluster("mock", 1)
    cluster.create("out", 3)
    host = started("kafka-out", {"brokers": cluster.brokers, "topic": "out", "key": "device", "patience_s": 2})
    put(host, range(300))
    host.kill()
    host.start()
    put(host, range(300, 600))
    wait_settled(host, 300)
    cluster.down()
    put(host, range(600, 900))
    wait_sink(host, "down", timeout=12)
    cluster.up()
    put(host, range(900, 1000))
    harness.wait_for("all rows are in the topic", lambda: len(set(rows_of(cluster, 3)[0])) >= 1000, 60)
    values, ids, got = rows_of(cluster, 3)
    all_there(values, ids, range(1000))
    of_key = {m["key"]: set() for m in got}
    for m in got:
        of_key[m["key"]].add(m["partition"])
    equal({k: len(v) for k, v in of_key.items()}, {"d0": 1, "d1": 1, "d2": 1}, "partitions of each key")
    wait_sink(host, "ok")
    say(f"1000 rows, {len(values) - 1000} of them twice, 1 kill of the host, 1 restart of the brokers")


def refusals():
    """What is too long is a dead letter; a broker that takes no password of ours needs a person."""
    cluster = kafka_peer.Cluster("mock", 1)
    cluster.create("out", 1)
    strict = kafka_peer.Relay(cluster.brokers[0], password="right")
    host = started("kafka-out", {"brokers": [strict.address], "topic": "out", "patience_s": 2, "max_message_bytes": 2000,
                                 "compression": "none", "sasl": {"mechanism": "PLAIN", "user": "pump", "password": "word"}},
                   word="wr0ng-word")
    put(host, range(1))
    wait_sink(host, "needs_you", "uthentication", timeout=12)
    strict.password = "wr0ng-word"
    host.cli("secret", "set", "word", "-w", "w", "--file", "-", stdin="wr0ng-word")  # asks again at once
    put(host, range(1, 4), text="x" * 3000)
    put(host, range(4, 6))
    wait_settled(host, 3)
    harness.wait_for("rows that are too long are put aside", lambda: sink(host)["refused"] == 3, 20)
    equal(sorted(rows_of(cluster, 1)[0]), [0.0, 4.0, 5.0], "rows that were taken")
    check("wr0ng-word" not in host.log(), "no secret is in the log")


def states():
    """What goes wrong on the way to the brokers is said by its sink within seconds."""
    pems = certificates(harness.folder())
    cluster = kafka_peer.Cluster("mock", 1)
    cluster.create("out", 3)
    behind = cluster.brokers[0]
    good, late, other = (kafka_peer.Relay(behind, pems / name) for name in ("good", "late", "other"))
    silent, slow = kafka_peer.Relay(behind, deaf_to=VERSIONS), kafka_peer.Relay(behind, slow_s=0.5)
    ca = {"tls": {"ca": {"pem": (pems / "ca.pem").read_text()}}}

    def at(place, **more):
        return {"brokers": [place], "topic": "out", "patience_s": 2, **more}
    host = started("kafka-out", sinks={
        "plain": at(behind), "slow": at(slow.address), "secure": at(good.address, **ca), "silent": at(silent.address),
        "away": at(f"127.0.0.1:{free_port()}"), "else": at(f"127.0.0.1:{Stranger().port}"), "untrusted": at(good.address, tls={}),
        "late": at(late.address, **ca), "other": at(other.address, **ca)})
    expect(host, (("plain", "ok", ""), ("slow", "ok", ""), ("secure", "ok", ""), ("silent", "down", "127.0.0.1"),
                  ("away", "down", "Connection refused"), ("else", "down", "127.0.0.1"), ("untrusted", "needs_you", "is not trusted"),
                  ("late", "needs_you", "expired"), ("other", "needs_you", "mismatch")), 10)
    silent.deaf_to, silent.open = None, True
    wait_settled(host, 10, "silent")
    silent.open = False  # in the middle of its work
    put(host, range(10, 20))
    wait_sink(host, "down", "127.0.0.1", STATE_S, "silent")
    silent.open = True
    for name in ("plain", "slow", "secure", "silent"):
        wait_settled(host, 20, name)


harness.main(restarts, refusals, states)
