"""What goes wrong on the way to Kafka is said by its connector within seconds, and why; trials store nothing."""
import json
import time

import far_side
import harness
import kafka_peer
from far_side import STATE_S, WS, state, wait_state
from harness import check, equal, wait_for
from kafka_test import JOIN_S, MAP, record, settings
from streams import apply, certificates, letters, secret, stored, wait_stored

SILENT_FROM = {"metadata": 3, "coordinator": 10, "join": 11, "sync": 14}  # what is asked on the way to a share of the partitions


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


harness.main(states, silence, tried)
