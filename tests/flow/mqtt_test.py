"""MQTT from a real broker. No message that was published is lost by restarts of broker and host; of QoS 2 none is there
twice, of QoS 1 none in a store with a key. The connector's state is right within seconds, and says why."""
import json

import harness
import mqtt_peer
import odd_server
import pems as certificate
import streams
from harness import check, equal, say, wait_for
from mqtt_peer import STATE_S, WS, state, wait_state

TEMPLATE = harness.SOURCE / "tests" / "flow" / "mqtt.yaml"


def message(topic, n):
    return f"{topic}/p{n % 3}/state", json.dumps({"t": 1774720800000 + n, "n": n})


def apply(host, **connectors):
    """The template with these connectors: name={config, into}."""
    entries = {name: {"plugin": "org.penstock.connector.mqtt", "format": "json",
                      "decode": {"map": {"device": "$topic[1]", "time": {"from": "t", "time": "unix_ms"}}},
                      "into": "datastore:keyed", **entry} for name, entry in connectors.items()}
    path = host.folder / "mqtt.yaml"
    path.write_text(TEMPLATE.read_text() + "".join(f"  {n}: {json.dumps(e)}\n" for n, e in entries.items()))
    host.apply(path)


def stored(host, store):
    """Without the key of the store's rows it is a list, so a row that is there twice shows."""
    return sorted(int(r[0]) for r in host.sql(f"SELECT n FROM datastore.{store}_wid1"))


def twice(numbers):
    return sorted(n for n in set(numbers) if numbers.count(n) > 1)


def wait_stored(host, store, expected):
    def there():
        return set(stored(host, store)) >= set(expected)
    wait_for(f"{store} has all {len(expected)} rows", there, 40)


def restarts():
    """Kills of the host at any moment, with messages on their way, and restarts of the broker."""
    broker = mqtt_peer.Broker("max_inflight_messages 0").start()
    host = harness.Host().start()
    common = {"broker": broker.url, "in_flight": 300}
    apply(host, once={"config": {**common, "topics": ["once/+/state"], "qos": 2}, "into": "datastore:appended"},
          least={"config": {**common, "topics": ["least/+/state"], "version": "3.1.1"}})
    host.workspace(WS, "mqtt")
    for name in ("once", "least"):
        wait_state(host, name, "ok", timeout=20)
    sent = 0

    def publish(count):
        nonlocal sent
        peer = mqtt_peer.Peer(broker.port)
        peer.publish((message("once", n) for n in range(sent, sent + count)), qos=2)
        peer.publish((message("least", n) for n in range(sent, sent + count)), qos=1)
        peer.close()
        sent += count
    for _ in range(3):
        publish(700)
        host.kill()
        publish(300)  # the broker keeps them
        host.start()
    wait_stored(host, "appended", range(sent))
    equal(twice(stored(host, "appended")), [], "rows of QoS 2 that are there twice in a store without a key")
    publish(300)
    broker.stop()
    for name in ("once", "least"):
        wait_state(host, name, "down", "127.0.0.1")
    broker.start()
    for name in ("once", "least"):
        wait_state(host, name, "ok", timeout=STATE_S + 5)
    publish(200)
    # mosquitto 2.0.11 forgets over its own restart which messages of QoS 2 it had an answer to, so here it is at least once.
    wait_stored(host, "appended", range(sent))
    wait_stored(host, "keyed", range(sent))
    equal(twice(stored(host, "keyed")), [], "rows of QoS 1 that are there twice in a store with a key")
    say(f"{sent} messages of each, 3 kills of the host, 1 restart of the broker")


def states():
    """What goes wrong with one broker or its messages is said by its connector, within seconds, and stays with it."""
    pems = certificate.make(harness.folder(), "broker")
    tls = mqtt_peer.Broker(listener=(f"cafile {pems}/ca.pem", f"certfile {pems}/broker.pem", f"keyfile {pems}/broker.key",
                                     "require_certificate true")).start()
    strict = mqtt_peer.Broker(f"password_file {mqtt_peer.with_password(harness.folder())}", anonymous=False).start()
    plain = mqtt_peer.Broker().start()
    door = mqtt_peer.Door(plain.port)
    authority = streams.certificates(harness.folder())
    late, other = (mqtt_peer.Broker(listener=(f"certfile {authority}/{n}.pem", f"keyfile {authority}/{n}.key")).start() for n in ("late", "other"))
    trusted = {"tls": {"ca": {"pem": (authority / "ca.pem").read_text()}}}
    busy, noise, mute = odd_server.Says(b"\x20\x03\x00\x89\x00"), odd_server.Noise(), odd_server.Mute()
    away = f"mqtt://127.0.0.1:{mqtt_peer.free_port()}"
    secure, ca = tls.url.replace("mqtt:", "mqtts:"), {"pem": (pems / "ca.pem").read_text()}
    ours = {"certificate": {"pem": (pems / "client.pem").read_text()}, "key": {"secret": "client_key"}}
    topics = {"topics": ["a/+/state"]}
    host = harness.Host().start()
    apply(host, plain={"config": {"broker": plain.url, "topics": ["plain/+/state"]}},
          poked={"config": {"broker": plain.url, "topics": ["n/+/serial"], "follow": [
              {"seen": "n/+/serial", "topics": ["n/{1}/state"], "publish": "r/{1}/keepalive", "every_s": 1}]}},
          silent={"config": {"broker": f"mqtt://127.0.0.1:{door.port}", **topics, "patience_s": 2}},
          away={"config": {"broker": away, **topics}},
          slow={"config": {"broker": mqtt_peer.Door(plain.port, delay=0.1).url, "topics": ["slow/+/state"], "patience_s": 2}},
          busy={"config": {"broker": f"mqtt://127.0.0.1:{busy.port}", **topics}},
          noise={"config": {"broker": f"mqtt://127.0.0.1:{noise.port}", **topics}},
          mute={"config": {"broker": f"mqtt://127.0.0.1:{mute.port}", **topics}},
          late={"config": {"broker": late.url.replace("mqtt:", "mqtts:"), **topics, **trusted}},
          other={"config": {"broker": other.url.replace("mqtt:", "mqtts:"), **topics, **trusted}},
          stranger={"config": {"broker": strict.url, **topics, "user": "pump", "password": "wrong"}},
          known={"config": {"broker": strict.url, **topics, "user": "pump", "password": "right", "version": "3.1.1"}},
          untrusted={"config": {"broker": secure, **topics}},
          anonymous={"config": {"broker": secure, **topics, "tls": {"ca": ca}}},
          secure={"config": {"broker": secure, "topics": ["secure/+/state"], "tls": {"ca": ca, **ours}}})
    host.workspace(WS, "mqtt")
    for name, value in (("wrong", "wr0ng-word"), ("right", "right"), ("client_key", (pems / "client.key").read_text())):
        host.cli("secret", "set", name, "-w", WS, "--file", "-", stdin=value)
    host.stop()
    host.start()  # the secrets are there from the first try on
    for name, expected, reason in (("plain", "ok", ""), ("silent", "ok", ""), ("known", "ok", ""), ("secure", "ok", ""), ("slow", "ok", ""),
                                   ("busy", "down", "it is busy"), ("noise", "down", "does not keep to MQTT"),
                                   ("late", "needs_you", "expired"), ("other", "needs_you", "mismatch"),
                                   ("mute", "down", "does not answer"), ("away", "down", "Connection refused"), ("stranger", "needs_you", "not authorized"),
                                   ("untrusted", "needs_you", "is not trusted"), ("anonymous", "needs_you", "certificate")):
        wait_state(host, name, expected, reason)
    check("wr0ng-word" not in host.log(), "no secret is in the log")
    door.open = False  # both ends believe that the other one is there
    wait_state(host, "silent", "down")
    door.open = True
    wait_state(host, "silent", "ok", timeout=STATE_S + 5)
    follow(host, plain)
    garbage(host, plain)
    mqtt_peer.Peer(plain.port).publish(message("slow", n) for n in range(800, 850))
    wait_stored(host, "keyed", range(800, 850))
    equal(state(host, "slow")[0], "ok", "the state of a slow line")
    host.cli("secret", "set", "wrong", "-w", WS, "--file", "-", stdin="right")  # the password is renewed
    wait_state(host, "stranger", "ok")
    equal(state(host, "plain")[0], "ok", "the state after garbage")
    code, seconds = host.stop()
    check(seconds < harness.STOP_S, f"stopping took {seconds:.1f} s")


def follow(host, broker):
    """A thing that is seen is subscribed to, and poked again and again."""
    listener, peer = mqtt_peer.Peer(broker.port, "listener"), mqtt_peer.Peer(broker.port)
    listener.subscribe("r/+/keepalive")
    peer.publish([("n/d7/serial", json.dumps({"t": 1774720800000, "n": 900}))])
    for _ in range(2):
        equal(listener.listen()[0], "r/d7/keepalive", "what the thing is told")
    peer.publish([("n/d7/state", json.dumps({"t": 1774720800000, "n": 901}))])
    wait_stored(host, "keyed", [900, 901])
    host.kill()
    listener.close()
    host.start()
    listener = mqtt_peer.Peer(broker.port, "listener")
    listener.subscribe("r/+/keepalive")
    equal(listener.listen()[0], "r/d7/keepalive", "what the thing is told after a restart, though it is not seen again")


def garbage(host, broker):
    """What is no row is put aside with its bytes, and costs nothing else."""
    bad = [b"\xff\xfe not json", b"{\"t\": 1774720800000", b"{\"t\": 1774720800000, \"n\": \"many\"}", b"[" * 5000]
    peer = mqtt_peer.Peer(broker.port)
    peer.publish([message("plain", 1), *(("plain/p1/state", b) for b in bad), message("plain", 2)])
    wait_stored(host, "keyed", [1, 2])
    def letters():
        return host.sql("SELECT code, detail FROM penstock.dead_letter_wid1")
    try:
        wait_for("the garbage is put aside", lambda: len(letters()) == len(bad), 20)
    except harness.Failed as why:
        raise harness.Failed(f"{why}: {letters()}") from None


def tried():
    """check and discover, over REST and by the command line, beside what runs: with sessions of their own, and nothing stored."""
    broker = mqtt_peer.Broker().start()
    strict = mqtt_peer.Broker(f"password_file {mqtt_peer.with_password(harness.folder())}", anonymous=False).start()
    peer = mqtt_peer.Peer(broker.port)
    peer.publish([message("shop", n) for n in range(3)], retain=True)  # what a new session is told at once
    peer.publish([("shop/p9/state", b"{\"t\": \"never\"}")], retain=True)
    host = harness.Host().start()
    topics = {"topics": ["shop/+/state"], "discover_s": 1}
    apply(host, resting={"config": {"broker": broker.url, **topics}, "paused": True},
          running={"config": {"broker": broker.url, "topics": ["run/+/state"], "client_id": "ours"}},
          stranger={"config": {"broker": strict.url, **topics, "user": "pump", "password": "wrong"}, "paused": True},
          away={"config": {"broker": f"mqtt://127.0.0.1:{mqtt_peer.free_port()}", **topics}, "paused": True})
    host.workspace(WS, "mqtt")
    host.cli("secret", "set", "wrong", "-w", WS, "--file", "-", stdin="wr0ng-word")
    wait_state(host, "running", "ok", timeout=20)

    shown = json.loads(host.cli("connector", "check", "resting", "-w", WS, "-o", "json", code=9).text)
    equal(sorted((r["row"]["device"], r["row"]["n"]) for r in shown["rows"]), [("p0", 0), ("p1", 1), ("p2", 2)], "rows shown")
    equal([r["payload"] for r in shown["rejects"]], ['{"device":"p9","time":"never"}'], "what would be refused")
    over_rest = host.api("POST", f"/workspaces/{WS}/connectors/resting:check").json
    equal((over_rest["checked"], len(over_rest["rows"])), (True, 3), "the same over REST")
    for name, reason in (("away", "Connection refused"), ("stranger", "not authorized")):
        said = host.cli("connector", "check", name, "-w", WS, code=7)
        check(reason in said.errors and "wr0ng-word" not in said.errors + said.text, f"{name}: {reason}", said)

    found = host.api("POST", f"/workspaces/{WS}/connectors/resting:discover").json
    equal(json.loads(found["streams"][0]["example"])[0].keys(), {"n", "t"}, "members that were seen")
    check("4 messages of 4 topics" in found["streams"][0]["title"], "what was seen", found)
    yaml = host.cli("connector", "discover", "resting", "-w", WS).text
    check("  keyed:" in yaml and "time: time" in yaml and "entity: [device]" in yaml and '"n": {type: integer' in yaml, "a proposal", yaml)
    said = host.cli("connector", "discover", "away", "-w", WS, code=7)
    check("Connection refused" in said.errors, "a broker that is away", said)

    equal(stored(host, "keyed"), [], "rows stored by trials")
    equal(host.cli_json("connector", "check", "running", "-w", WS)["note"], "it is reached, and has no rows now", "one that runs")
    peer.publish([message("run", n) for n in range(20)])
    wait_stored(host, "keyed", range(20))
    equal(state(host, "running"), ("ok", ""), "what runs was not disturbed")
    check("Client ours already connected" not in broker.log(), "a trial takes nobody's session", broker.log())
    broker.stop()  # it writes down the sessions that it keeps
    kept = (broker.folder / "mosquitto.db").read_bytes()
    check(b"ours" in kept, "the session of what runs")
    check(b"trial" not in kept and b"-look" not in kept, "no session of a trial is left, in which messages would gather")


harness.main(restarts, states, tried)
