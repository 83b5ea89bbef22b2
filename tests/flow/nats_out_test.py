"""Rows that go out to JetStream: each is in the stream once, whatever host and server do meanwhile."""
import json

import harness
import nats_peer
from harness import check, equal, say
from far_side import WS
from streams_out import all_there, put, sink, started, wait_settled, wait_sink


def rows_of(peer):
    """Values and ids of what the stream holds, and the subjects."""
    got = peer.messages("OUT")
    ids = [next(line.split(": ", 1)[1] for line in head.splitlines() if line.startswith("Nats-Msg-Id")) for _, _, head in got]
    return [json.loads(data)["value"] for _, data, _ in got], ids, {s for s, _, _ in got}


def restarts():
    server = nats_peer.Server().start()
    nats_peer.Peer(server.port).stream("OUT", "plant.>")
    host = started("nats-out", {"servers": [server.url], "subject": "plant.{device}.value", "patience_s": 2})
    put(host, range(300))
    host.kill()
    host.start()
    put(host, range(300, 600))
    server.stop()
    put(host, range(600, 900))
    wait_sink(host, "down", "127.0.0.1")
    server.start()
    put(host, range(900, 1000))
    harness.wait_for("all rows are in the stream",
                     lambda: nats_peer.Peer(server.port).ask("STREAM.INFO.OUT")["state"]["messages"] >= 1000, 40)
    values, ids, subjects = rows_of(nats_peer.Peer(server.port))
    all_there(values, ids, range(1000))
    equal(len(values), 1000, "messages of the stream")
    equal(subjects, {f"plant.d{n}.value" for n in range(3)}, "subjects")
    wait_sink(host, "ok")
    say("1000 rows, 1 kill of the host, 1 restart of the server")


def refusals():
    """What is not taken becomes a dead letter, or is said; a subject without a stream waits."""
    server = nats_peer.Server("max_payload: 4096", 'authorization {user: pump, password: "right"}').start()
    host = started("nats-out", {"servers": [server.url], "subject": "late.{device}", "user": "pump", "password": "word"}, word="wr0ng-word")
    put(host, range(1))
    wait_sink(host, "needs_you", "Authorization")
    host.cli("secret", "set", "word", "-w", WS, "--file", "-", stdin="right")
    wait_sink(host, "down", "no stream takes the subject")
    peer = nats_peer.Peer(server.port, "pump", "right")
    peer.stream("OUT", "late.>")
    put(host, range(1, 4), text="x" * 5000)
    put(host, range(4, 6))
    wait_settled(host, 3)
    harness.wait_for("rows that are too long are put aside", lambda: sink(host)["refused"] == 3, 20)
    equal(sorted(rows_of(peer)[0]), [0.0, 4.0, 5.0], "rows that were taken")
    check("wr0ng-word" not in host.log(), "no secret is in the log")


harness.main(restarts, refusals)
