"""Kafka: librdkafka's mock cluster, with a relay for what that lacks. No record is lost or there twice by restarts of host and
brokers, nor when the partitions of a group change hands; the connector's state is right within seconds, and says why."""
import json
import time

import harness
import kafka_peer
import far_side
from harness import check, equal, say, wait_for
from far_side import STATE_S, WS, state, wait_state
from streams import all_once, apply, certificates, letters, message, secret, stored, wait_stored

MAP = {"device": "$meta.key", "time": {"from": "t", "time": "unix_ms"}, "site": "$meta.header.site", "place": "$meta.offset"}
SILENT_FROM = {"metadata": 3, "coordinator": 10, "join": 11, "sync": 14}  # what is asked on the way to a share of the partitions
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


def states():
    """What goes wrong is said by its connector, within seconds, and stays with it."""
    pems = certificates(harness.folder())
    cluster, wide = kafka_peer.Cluster("mock", 1), kafka_peer.Cluster("mock", 2)
    for c in (cluster, wide):
        c.create("readings", 3)
    behind = cluster.brokers[0]
    good, late, other = (kafka_peer.Relay(behind, pems / name) for name in ("good", "late", "other"))
    strict, silent = kafka_peer.Relay(behind, password="right"), kafka_peer.Relay(behind)
    mutual = kafka_peer.Relay(behind, pems / "good", clients=pems / "ca.pem")
    ca = {"tls": {"ca": {"pem": (pems / "ca.pem").read_text()}}}

    def at(place, **more):
        return {"config": settings([place if isinstance(place, str) else place.address], **more), "paused": True}

    def who(password):
        return {"sasl": {"mechanism": "PLAIN", "user": "pump", "password": password}}

    def shows(name):
        return {"tls": {**ca["tls"], "certificate": {"pem": (pems / f"{name}.pem").read_text()}, "key": {"secret": name}}}
    host = harness.Host().start()
    connectors = {"plain": at(behind), "silent": at(silent), "away": at(f"127.0.0.1:{far_side.free_port()}"),
                  "stranger": at(strict, **who("wrong")), "known": at(strict, **who("right")), "untrusted": at(good, tls={}),
                  "secure": at(good, **ca), "late": at(late, **ca), "other": at(other, **ca), "partly": at(wide.brokers[0]),
                  "nobody": at(mutual, **ca), "shown": at(mutual, **shows("good")), "past": at(mutual, **shows("late")),
                  "else": at(f"127.0.0.1:{far_side.Stranger().port}")}
    apply(host, "kafka", MAP, **connectors)
    host.workspace(WS, "streams")
    for name, value in (("wrong", "wr0ng-word"), ("right", "right"), *((n, (pems / f"{n}.key").read_text()) for n in ("good", "late"))):
        secret(host, name, value)
    for name in connectors:  # begun with the secrets: the mock cluster ends where a member comes back too soon
        host.cli("connector", "resume", name, "-w", WS)
    for name, expected, reason in (("plain", "ok", ""), ("silent", "ok", ""), ("known", "ok", ""), ("secure", "ok", ""),
                                   ("away", "down", "Connection refused"), ("stranger", "needs_you", "uthentication"),
                                   ("untrusted", "needs_you", "is not trusted"), ("late", "needs_you", "expired"),
                                   ("other", "needs_you", "mismatch"), ("nobody", "needs_you", "certificate"),
                                   ("past", "needs_you", "certificate"), ("shown", "ok", ""), ("else", "down", "127.0.0.1"), ("partly", "degraded", "not listed")):
        wait_state(host, name, expected, reason, timeout=JOIN_S)
    check("wr0ng-word" not in host.log(), "no secret is in the log")
    cluster.send("readings", [record(0)])
    wait_for("the silent one has read", lambda: host.api("GET", f"/workspaces/{WS}/connectors/silent").json["last_rows"], JOIN_S)
    silent.open = False  # the connection stays, and nothing comes
    wait_state(host, "silent", "down", timeout=STATE_S + 1)  # and what the machine needs
    silent.open = True
    wait_state(host, "silent", "ok", timeout=STATE_S + JOIN_S)
    said = host.cli("connector", "check", "partly", "-w", WS, code=7)
    check(wide.brokers[1] in said.errors, "the broker that is to be listed", said)
    cluster.send("readings", [record(1, headers={"site": "north"}), record(2)])
    wait_stored(host, "keyed", [1, 2], JOIN_S)
    equal(host.sql("SELECT DISTINCT device, site FROM datastore.keyed_wid1 WHERE n > 0 ORDER BY device"), [["p1", "north"], ["p2", None]],
          "key and header")
    bad = [b"\xff\xfe not json", b"{\"t\": 1774720800000", b"{\"t\": 1774720800000, \"n\": \"many\"}", b"[" * 5000]
    alone = ("plain", "silent", "known", "secure", "shown")  # each reads the garbage of its own
    cluster.send("readings", [record(3), *({"partition": 0, "key": "p0", "hex": b.hex()} for b in bad), record(6)])
    wait_stored(host, "keyed", [3, 6])
    letters(host, len(bad) * len(alone))  # of each
    equal(state(host, "plain")[0], "ok", "the state after garbage")
    code, seconds = host.stop()
    check(seconds < harness.STOP_S, f"stopping took {seconds:.1f} s")


def silence():
    """A broker that takes what it is asked and says nothing, from each moment of getting there on, is away; one that is slow is
    not."""
    cluster = kafka_peer.Cluster("mock", 1)
    cluster.create("readings", 3)
    behind = cluster.brokers[0]
    doors = {name: kafka_peer.Relay(behind, deaf_to=key) for name, key in SILENT_FROM.items()}
    slow = kafka_peer.Relay(behind, slow_s=0.7)
    host = harness.Host().start()
    apply(host, "kafka", MAP, slow={"config": settings([slow.address], group="slow")},
          **{name: {"config": settings([door.address], group=name), "paused": True} for name, door in doors.items()})
    host.workspace(WS, "streams")
    down = {}

    def all_down():
        for name in set(doors) - set(down):
            now, reason = state(host, name)
            if now == "down":
                down[name] = time.monotonic() - doors[name].silent_since
                check("silent" in reason or "timed out" in reason, f"the reason of {name}", reason)
        return len(down) == len(doors)
    for name in doors:
        host.cli("connector", "resume", name, "-w", WS)
    wait_for("those at silent brokers are down", all_down, JOIN_S)
    equal({name: s for name, s in down.items() if s > STATE_S}, {}, "seconds until they were")
    for door in doors.values():
        door.deaf_to, door.open = None, True
    wait_state(host, "slow", "ok", timeout=JOIN_S)
    for name in doors:
        wait_state(host, name, "ok", timeout=JOIN_S)
    cluster.send("readings", [record(n) for n in range(30)])
    wait_stored(host, "keyed", range(30))
    for name in ("slow", *doors):
        equal(state(host, name)[0], "ok", f"the state of {name} with records")


def tried():
    """check and discover beside what runs: nothing is stored, and no group is joined."""
    cluster = kafka_peer.Cluster("mock", 1)
    cluster.create("readings", 1)
    cluster.create("empty", 2)
    cluster.send("readings", [record(n, 1) for n in range(30)])
    cluster.send("readings", [{"partition": 0, "key": "p9", "value": "{\"t\": \"never\"}"}])
    host = harness.Host().start()
    apply(host, "kafka", MAP, resting={"config": settings(cluster.brokers, group="ours"), "paused": True},
          nowhere={"config": settings(cluster.brokers, topics=["readings", "no.such"]), "paused": True})
    host.workspace(WS, "streams")
    shown = json.loads(host.cli("connector", "check", "resting", "-w", WS, "-o", "json", code=9).text)
    equal(sorted(r["row"]["n"] for r in shown["rows"]), list(range(21, 30)), "rows shown")
    equal(len(shown["rejects"]), 1, "what would be refused")
    said = host.cli("connector", "check", "nowhere", "-w", WS, code=7)
    check("no.such" in said.errors, "a topic that is not there", said)
    found = host.api("POST", f"/workspaces/{WS}/connectors/resting:discover").json["streams"]
    equal(sorted((s["stream"], s["title"]) for s in found), [("empty", "a topic of 2 partitions"), ("readings", "a topic of 1 partition")],
          "topics that were found")
    yaml = host.cli("connector", "discover", "resting", "-w", WS).text
    check("readings:" in yaml and '"n": {type: integer' in yaml and "time: time" in yaml and "entity: [device]" in yaml,
          "a proposal, read by `decode`: the key of a record is its device", yaml)
    equal(stored(host, "keyed"), [], "rows stored by trials")
    equal(cluster.committed("ours", "readings", 1), [-1], "offsets of the group")


if __name__ == "__main__":
    harness.main(restarts, group, states, silence, tried)
