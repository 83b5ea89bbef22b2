"""Kafka: librdkafka's mock cluster, with a relay for what that lacks. No record is lost or there twice by restarts of host and
brokers, nor when the partitions of a group change hands."""
import json

import harness
import kafka_peer
from harness import say, wait_for
from far_side import STATE_S, WS, wait_state
from streams import all_once, apply, message, wait_stored

MAP = {"device": "$meta.key", "time": {"from": "t", "time": "unix_ms"}, "site": "$meta.header.site", "place": "$meta.offset"}
SESSION_S = 6  # what the shortest session of real brokers is
JOIN_S = 2 * SESSION_S + 8  # a member that was killed is missed first


def record(n, partitions=3, **more):
    return {"partition": n % partitions, "key": f"p{n % 3}", "value": json.dumps(message(n)), **more}


def settings(brokers, **more):
    return {"brokers": brokers, "topics": ["readings"], "session_s": SESSION_S, **more}


def wait_committed(cluster, group, sums, partitions=3):
    def there():
        return sum(max(0, o) for o in cluster.committed(group, "readings", partitions)) == sums
    wait_for(f"the group {group} is told of {sums} records", there, 15)


def restarts():
    """Kills of the host with records on their way, and brokers that are away for a while."""
    cluster = kafka_peer.Cluster("mock", 2)
    cluster.create("readings", 3)
    host = harness.Host().start()
    brokers = [r.address for r in kafka_peer.relays(cluster)]
    apply(host, "kafka", MAP, once={"config": settings(brokers, group="ours"), "into": "datastore:appended"})
    host.workspace(WS, "streams")
    wait_state(host, "once", "ok", timeout=20)
    sent = 0

    def send(count):
        nonlocal sent
        cluster.send("readings", (record(n) for n in range(sent, sent + count)))
        sent += count
    send(300)
    wait_stored(host, "appended", range(1), JOIN_S)
    for _ in range(2):
        send(500)
        host.kill()
        send(200)  # the brokers keep them
        host.start()
        wait_stored(host, "appended", range(sent), JOIN_S)
    cluster.down()
    wait_state(host, "once", "down")
    cluster.up()
    wait_state(host, "once", "ok", timeout=STATE_S + 5)
    send(100)
    wait_stored(host, "appended", range(sent), JOIN_S)
    all_once(host, "appended", range(sent))
    wait_committed(cluster, "ours", sent)
    say(f"{sent} records, 2 kills of the host, 1 restart of the brokers")


def group():
    """Two members: partitions change hands, and no record is stored twice. None comes during the change itself: the mock cluster
    takes no offsets then, which real brokers do."""
    cluster = kafka_peer.Cluster("mock", 1)
    cluster.create("readings", 4)
    host = harness.Host().start()
    entry = {"config": settings(cluster.brokers, group="both"), "into": "datastore:appended"}
    apply(host, "kafka", MAP, one=entry, two={**entry, "paused": True})
    host.workspace(WS, "streams")
    sent = 0

    def send(count):
        nonlocal sent
        cluster.send("readings", (record(n, 4) for n in range(sent, sent + count)))
        sent += count
    send(200)
    wait_stored(host, "appended", range(sent), JOIN_S)
    wait_committed(cluster, "both", sent, 4)
    host.cli("connector", "resume", "two", "-w", WS)
    wait_state(host, "two", "degraded", "waiting for the group", timeout=10)
    wait_state(host, "two", "ok", timeout=JOIN_S)
    def shared():
        send(20)
        return all(host.api("GET", f"/workspaces/{WS}/connectors/{n}").json["last_rows"] for n in ("one", "two"))
    wait_for("both members have a share", shared, JOIN_S)
    host.cli("connector", "pause", "one", "-w", WS)
    send(100)
    wait_stored(host, "appended", range(sent), JOIN_S)  # the other one has all
    all_once(host, "appended", range(sent))
    wait_committed(cluster, "both", sent, 4)
    say(f"{sent} records over two members")


if __name__ == "__main__":
    harness.main(restarts, group)
