"""Rows that go out to JetStream: each is in the stream once, whatever host and server do meanwhile."""
import json

import harness
import nats_peer
from harness import check, equal, say
from far_side import STATE_S, WS, Door, Stranger, free_port
from streams import certificates
from streams_out import all_there, put, sink, started, wait_settled, wait_sink
from streams_out import states as expect


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


def states():
    """What goes wrong on the way to the server is said by its sink within seconds."""
    pems = certificates(harness.folder())

    def tls(name, *more):
        return nats_peer.Server(f'tls {{cert_file: "{pems}/{name}.pem", key_file: "{pems}/{name}.key"{"".join(more)}}}').start()
    plain, good, late, other = nats_peer.Server().start(), tls("good"), tls("late"), tls("other")
    mutual = tls("good", f', ca_file: "{pems}/ca.pem", verify: true')
    nats_peer.Peer(plain.port).stream("OUT", "out.>")
    silent, slow = (Door(plain.port, scheme="nats", delay=d) for d in (0, 0.2))
    silent.open = False
    ca = {"tls": {"ca": {"pem": (pems / "ca.pem").read_text()}}}

    def at(url, **more):
        return {"servers": [url], "subject": "out.{device}", "patience_s": 2, **more}
    host = started("nats-out", sinks={
        "plain": at(plain.url), "slow": at(slow.url), "silent": at(silent.url), "away": at(f"nats://127.0.0.1:{free_port()}"),
        "else": at(f"nats://127.0.0.1:{Stranger().port}"), "untrusted": at(good.url, tls={}), "late": at(late.url, **ca),
        "other": at(other.url, **ca), "nobody": at(mutual.url, **ca)})
    expect(host, (("plain", "ok", ""), ("slow", "ok", ""), ("silent", "down", "127.0.0.1"), ("away", "down", "127.0.0.1"),
                  ("else", "down", "127.0.0.1"), ("untrusted", "needs_you", "certificate"), ("late", "needs_you", "expired"),
                  ("other", "needs_you", "mismatch"), ("nobody", "needs_you", "our certificate is refused")), 10)
    silent.open = True
    wait_settled(host, 10, "silent")
    silent.open = False  # in the middle of its work
    put(host, range(10, 20))
    wait_sink(host, "down", "", STATE_S, "silent")
    silent.open = True
    for name in ("plain", "slow", "silent"):
        wait_settled(host, 20, name)
    values, ids, _ = rows_of(nats_peer.Peer(plain.port))
    all_there(values, ids, range(20))
    equal(len(values), 20, "messages of the stream, to which three sinks sent the same rows")


harness.main(restarts, refusals, states)
