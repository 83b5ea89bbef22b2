"""What goes wrong on the way to NATS is said by its connector within seconds, and why; trials store nothing."""
import json
import time

import far_side
import harness
import nats_peer
from far_side import STATE_S, WS, state, wait_state
from harness import check, equal
from nats_keys import ACCOUNT, Accounts, Key
from nats_test import MAP, subject
from streams import apply, certificates, letters, message, secret, stored, wait_stored


def states():
    """What goes wrong is said by its connector, within seconds, and stays with it."""
    pems = certificates(harness.folder())

    def tls(name):
        return nats_peer.Server(f'tls {{cert_file: "{pems}/{name}.pem", key_file: "{pems}/{name}.key"}}').start()
    good, late, other = tls("good"), tls("late"), tls("other")
    strict = nats_peer.Server('authorization {user: pump, password: "right"}').start()
    plain = nats_peer.Server().start()
    peer = nats_peer.Peer(plain.port)
    peer.stream("PLAIN", "plain.>")
    peer.stream("SLOW", "slow.>")
    door = far_side.Door(plain.port)
    ca, core = {"tls": {"ca": {"pem": (pems / "ca.pem").read_text()}}}, {"subjects": ["a.*.state"]}

    def at(server, **more):
        return {"config": {"servers": [server if isinstance(server, str) else server.url], "patience_s": 2, **more}}
    host = harness.Host().start()
    apply(host, "nats", MAP, plain=at(plain, stream="PLAIN"), core=at(plain, subjects=["core.*.state", "more.*.state"]),
          second={"config": {"servers": [f"nats://127.0.0.1:{far_side.free_port()}", plain.url], **core}},
          silent=at(f"nats://127.0.0.1:{door.port}", **core), away=at(f"nats://127.0.0.1:{far_side.free_port()}", **core),
          nowhere=at(plain, stream="NOWHERE"), stranger=at(strict, user="pump", password="wrong", **core),
          known=at(strict, user="pump", password="right", **core), untrusted=at(good, tls={}, **core), secure=at(good, **ca, **core),
          late=at(late, **ca, **core), other=at(other, **ca, **core),
          slow=at(far_side.Door(plain.port, delay=0.2, scheme="nats").url, stream="SLOW"),
          alien=at(f"nats://127.0.0.1:{far_side.Stranger().port}", **core))
    host.workspace(WS, "streams")
    for name, value in (("wrong", "wr0ng-word"), ("right", "right")):
        secret(host, name, value)
    host.stop()
    host.start()  # the secrets are there from the first try on
    for name, expected, reason in (("plain", "ok", ""), ("core", "ok", ""), ("second", "ok", ""), ("silent", "ok", ""),
                                   ("known", "ok", ""), ("secure", "ok", ""), ("away", "down", "127.0.0.1"),
                                   ("nowhere", "needs_you", "there is no stream"), ("stranger", "needs_you", "Authorization"),
                                   ("untrusted", "needs_you", "certificate"), ("late", "needs_you", "expired"),
                                   ("other", "needs_you", "mismatch"), ("slow", "ok", ""), ("alien", "down", "127.0.0.1")):
        wait_state(host, name, expected, reason)
    check("wr0ng-word" not in host.log(), "no secret is in the log")
    door.open = False  # both ends believe that the other one is there
    wait_state(host, "silent", "down")
    door.open = True
    wait_state(host, "silent", "ok", timeout=STATE_S + 5)
    peer.publish([(subject("slow", n), message(n)) for n in range(5, 25)])
    wait_stored(host, "keyed", range(5, 25))
    equal(state(host, "slow")[0], "ok", "the state of a slow one")
    peer.publish([("core.p1.state", message(1), {"site": "north"}), ("more.p2.state", message(2))])
    wait_stored(host, "keyed", [1, 2])
    equal(host.sql("SELECT device, site FROM datastore.keyed_wid1 WHERE n < 3 ORDER BY n"), [["p1", "north"], ["p2", None]], "subject and header")
    bad = [b"\xff\xfe not json", b"{\"t\": 1774720800000", b"{\"t\": 1774720800000, \"n\": \"many\"}", b"[" * 5000]
    peer.publish([(subject("plain", 3), message(3)), *(("plain.p1.state", b) for b in bad), (subject("plain", 4), message(4))])
    wait_stored(host, "keyed", [3, 4])
    letters(host, len(bad))
    equal(state(host, "plain")[0], "ok", "the state after garbage")
    code, seconds = host.stop()
    check(seconds < harness.STOP_S, f"stopping took {seconds:.1f} s")


def credentials():
    """Who we are by a token that a key signs, or by a certificate; what is refused, or runs out while we are connected, is said."""
    pems, folder = certificates(harness.folder()), harness.folder()
    accounts = Accounts(folder)
    signed = nats_peer.Server(*accounts.settings, streams=False).start()
    mutual = nats_peer.Server(f'tls {{cert_file: "{pems}/good.pem", key_file: "{pems}/good.key", ca_file: "{pems}/ca.pem", '
                              "verify: true}").start()
    files = {"ours": accounts.credentials(), "brief": "", "past": accounts.credentials(time.time() - 60),
             "foreign": accounts.credentials(signer=Key(folder, ACCOUNT)), "torn": "-----BEGIN NATS USER JWT-----\nx"}
    listens = {"subjects": ["core.*.state"], "patience_s": 2}
    trusts = {"ca": {"pem": (pems / "ca.pem").read_text()}}

    def shows(name):
        return {**trusts, "certificate": {"pem": (pems / f"{name}.pem").read_text()}, "key": {"secret": name}}
    host = harness.Host().start()
    apply(host, "nats", MAP, **{n: {"config": {"servers": [signed.url], "credentials": n, **listens}, "paused": True} for n in files},
          **{n: {"config": {"servers": [mutual.url], "tls": t, **listens}, "paused": True}
             for n, t in (("nobody", trusts), ("known", shows("good")), ("late", shows("late")))})
    host.workspace(WS, "streams")
    ends = time.time() + 8
    files["brief"] = accounts.credentials(ends)
    for name, value in (*files.items(), *((n, (pems / f"{n}.key").read_text()) for n in ("good", "late"))):
        secret(host, name, value)
    expected = (("ours", "ok", ""), ("past", "needs_you", "Authorization"), ("foreign", "needs_you", "Authorization"),
                ("torn", "needs_you", "a seed that can sign"), ("known", "ok", ""), ("nobody", "needs_you", "our certificate is refused"), ("late", "needs_you", "our certificate is refused"))
    host.cli("connector", "resume", "brief", "-w", WS)
    wait_state(host, "brief", "ok")
    for name in (*files, "nobody", "known", "late"):
        host.cli("connector", "resume", name, "-w", WS)
    for name, now, reason in expected:
        wait_state(host, name, now, reason)
    wait_state(host, "brief", "needs_you", "", timeout=max(0, ends - time.time()) + STATE_S)
    check("SEED" not in host.log() and not any(f.splitlines()[4:] and f.splitlines()[5] in host.log() for f in files.values()),
          "no seed is in the log")
    secret(host, "brief", accounts.credentials())
    wait_state(host, "brief", "ok")


def tried():
    """check and discover beside what runs: nothing is stored, no consumer is made."""
    server = nats_peer.Server().start()
    peer = nats_peer.Peer(server.port)
    peer.stream("SHOP", "shop.>")
    peer.publish([(subject("shop", n), message(n)) for n in range(30)])
    peer.publish([("shop.p9.state", b"{\"t\": \"never\"}")])
    host = harness.Host().start()
    shop = {"servers": [server.url], "stream": "SHOP"}
    apply(host, "nats", MAP, resting={"config": shop, "paused": True},
          away={"config": {"servers": [f"nats://127.0.0.1:{far_side.free_port()}"], "stream": "SHOP"}, "paused": True})
    host.workspace(WS, "streams")
    shown = json.loads(host.cli("connector", "check", "resting", "-w", WS, "-o", "json", code=9).text)
    equal(sorted(r["row"]["n"] for r in shown["rows"]), list(range(21, 30)), "rows shown")
    equal(len(shown["rejects"]), 1, "what would be refused")
    said = host.cli("connector", "check", "away", "-w", WS, code=7)
    check("127.0.0.1" in said.errors, "a server that is away", said)
    found = host.api("POST", f"/workspaces/{WS}/connectors/resting:discover").json["streams"]
    equal([(s["stream"], s["key"]) for s in found], [("SHOP", "keyed")], "streams that were found")
    check("31 messages, subjects shop.>" in found[0]["title"], "what is in it", found)
    yaml = host.cli("connector", "discover", "resting", "-w", WS).text
    check("keyed:" in yaml and "time: time" in yaml and "entity: [device]" in yaml,
          "a proposal, read by `decode`: a token of the subject is the device", yaml)
    equal(stored(host, "keyed"), [], "rows stored by trials")
    equal(peer.ask("CONSUMER.NAMES.SHOP")["consumers"] or [], [], "consumers that were made")


harness.main(states, credentials, tried)
