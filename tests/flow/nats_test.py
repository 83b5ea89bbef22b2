"""NATS from a real server. Of a stream no message is lost or there twice, whatever host and server do meanwhile."""

import harness
import far_side
import nats_peer
from harness import check, equal, say, wait_for
from far_side import STATE_S, WS, wait_state
from streams import all_once, apply, message, wait_stored

MAP = {"device": "$topic[1]", "time": {"from": "t", "time": "unix_ms"}, "site": "$meta.header.site", "place": "$meta.sequence"}


def subject(root, n):
    return f"{root}.p{n % 3}.state"


def restarts():
    """Kills of the host at any moment, with messages on their way, and restarts of the server; the second stream is read by a filter,
    so that the numbers of its messages have gaps."""
    server = nats_peer.Server().start()
    host = harness.Host().start()
    peer = nats_peer.Peer(server.port)
    peer.stream("WHOLE", "whole.>")
    peer.stream("PART", "part.>")
    common = {"servers": [server.url], "ack_wait_s": 2}
    apply(host, "nats", MAP, whole={"config": {**common, "stream": "WHOLE"}, "into": "datastore:appended"},
          part={"config": {**common, "stream": "PART", "subjects": ["part.*.state"], "consumer": "ours"}})
    host.workspace(WS, "streams")
    for name in ("whole", "part"):
        wait_state(host, name, "ok", timeout=20)
    sent = 0

    def publish(count):
        nonlocal sent
        peer = nats_peer.Peer(server.port)
        for n in range(sent, sent + count):
            peer.publish([(subject("whole", n), message(n)), (subject("part", n), message(n)), ("part.p1.noise", b"x")])
        peer.close()
        sent += count
    for _ in range(3):
        publish(300)
        host.kill()
        publish(100)  # the server keeps them
        host.start()
    publish(100)
    server.stop()
    for name in ("whole", "part"):
        wait_state(host, name, "down", "127.0.0.1")
    server.start()
    for name in ("whole", "part"):
        wait_state(host, name, "ok", timeout=STATE_S + 5)
    publish(100)
    all_once(host, "appended", range(sent))
    all_once(host, "keyed", range(sent))
    equal(host.sql("SELECT count(*) FROM datastore.appended_wid1 WHERE place <> n + 1"), [["0"]], "numbers of the messages")
    info = nats_peer.Peer(server.port).ask("CONSUMER.INFO.PART.ours")
    equal((info["num_ack_pending"], info["num_pending"]), (0, 0), "what the server still waits for")
    say(f"{sent} messages of each, 3 kills of the host, 1 restart of the server")


def stream_troubles():
    """A consumer that is deleted under us, a stream that is purged, and acknowledgements that do not arrive, so that all comes again:
    each message makes one row."""
    server = nats_peer.Server().start()
    door = far_side.Door(server.port, scheme="nats")
    peer = nats_peer.Peer(server.port)
    peer.stream("WHOLE", "whole.>")
    host = harness.Host().start()
    apply(host, "nats", MAP, whole={"into": "datastore:appended", "config": {
        "servers": [door.url], "stream": "WHOLE", "consumer": "ours", "ack_wait_s": 1, "patience_s": 2}})
    host.workspace(WS, "streams")
    sent = 0

    def publish(count):
        nonlocal sent
        peer.publish([(subject("whole", n), message(n)) for n in range(sent, sent + count)])
        sent += count

    def consumer():
        return peer.ask("CONSUMER.INFO.WHOLE.ours")
    wait_state(host, "whole", "ok", timeout=20)
    publish(50)
    wait_stored(host, "appended", range(sent))
    check(peer.ask("CONSUMER.DELETE.WHOLE.ours")["success"], "the consumer is deleted")
    publish(50)
    wait_stored(host, "appended", range(sent), STATE_S + 5)
    wait_state(host, "whole", "ok")
    check(peer.ask("STREAM.PURGE.WHOLE")["success"], "the stream is purged")
    publish(50)
    wait_stored(host, "appended", range(sent), STATE_S + 5)
    door.drop = b"$JS.ACK"
    publish(50)
    wait_stored(host, "appended", range(sent), STATE_S + 5)
    wait_for("the server sends again what was not acknowledged", lambda: consumer()["num_redelivered"] > 0, 20)
    wait_state(host, "whole", "down", "acknowledging", timeout=STATE_S + 5)
    door.drop = None
    publish(50)
    wait_for("all is acknowledged", lambda: consumer()["num_ack_pending"] + consumer()["num_pending"] == 0, 20)
    wait_state(host, "whole", "ok")
    all_once(host, "appended", range(sent))
    say(f"{sent} messages, a consumer deleted, a stream purged, acknowledgements lost")


if __name__ == "__main__":
    harness.main(restarts, stream_troubles)
