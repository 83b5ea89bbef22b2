"""Rows that go out to Kafka: each is in the topic at least once, with one id however often it came, in the order of its key."""
import json

import harness
import kafka_peer
from harness import check, equal, say
from streams_out import all_there, put, sink, started, wait_settled, wait_sink


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


harness.main(restarts, refusals)
