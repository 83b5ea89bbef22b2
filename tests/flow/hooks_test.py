"""Requests from outside into a connector: who is believed, what is durable when the answer is there, tokens, limits, and
plugins that die."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import cells
import harness
from harness import check, equal, wait_for

SECRET = "hook-secret-nobody-logs"
BODY_MAX = 4 << 20
WAITING_MAX = 256
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: shop, version: 1.0.0, title: Shop}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties:
        time: {{type: string, format: date-time}}
        device: {{type: string}}
        value: {{type: number}}
        site: {{type: string}}
    time: time
    unique: [time, device]
    accept: {{past: any, future: any}}
  refunds: {{schema: {{type: object, required: [time], properties: {{time: {{type: string, format: date-time}}}}}}, time: time, accept: {{past: any, future: any}}}}
  echoes:
    schema: {{type: object, required: [at], additionalProperties: true, properties: {{at: {{type: string, format: date-time}}}}}}
    time: at
    accept: {{past: any, future: any}}
connectors:
  hook:
    plugin: org.penstock.connector.webhook
    config:
      {{check: hmac_sha256, header: X-Signature, prefix: "sha256=", secret: hook_key, signed: "{{timestamp}}.{{body}}",
       timestamp_header: X-Time, stream_header: X-Event, answer: {{status: 200, body: '{{"ok":true}}'}}}}
    format: json
    decode:
      path: $.events[*]
      map: {{time: {{from: .at, time: unix_ms}}, device: .sensor, value: .reading, site: "$topic[0]"}}
    into: {{reading: "datastore:readings", refund: "datastore:refunds"}}
  keyed:
    plugin: org.penstock.connector.webhook
    config: {{check: ecdsa_sha256, encoding: base64, public_key: {key}}}
    format: ndjson
    into: datastore:readings
  unset:
    plugin: org.penstock.connector.webhook
    config: {{check: secret, header: X-Token, secret: later_key}}
    format: ndjson
    into: datastore:readings
  open:
    plugin: org.penstock.connector.webhook
    config: {{check: none}}
    format: ndjson
    into: datastore:readings
  deadly:
    plugin: org.penstock.test.echo-source
    config: {{rows: 0, trouble: {{what: segv, text: "pill"}}}}
    into: datastore:echoes
  refusing:
    plugin: org.penstock.test.echo-source
    config: {{rows: 0, refuse: true}}
    into: datastore:echoes
"""


class Stage:
    def __init__(self, settings=()):
        folder = harness.folder() / "plugins"
        folder.mkdir(mode=0o755)
        shutil.copy(harness.BUILD / "tests" / "plugins" / "echo_source.so", folder)
        self.host = harness.Host(plugins=[harness.PLUGINS, folder], settings=settings).start()
        self.pem = self.host.folder / "key.pem"
        self.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.pem)
        public = self.openssl("ec", "-in", self.pem, "-pubout").decode()
        template = self.host.folder / "t.yaml"
        template.write_text(TEMPLATE.format(key=json.dumps(public)))
        self.host.apply(template)
        self.host.workspace("w", "shop")
        self.host.cli("secret", "set", "hook_key", "-w", "w", stdin=SECRET)
        self.paths = {k: self.rotate(k)["path"] for k in ("hook", "keyed", "unset", "open", "deadly", "refusing")}

    @staticmethod
    def openssl(*words, stdin=None):
        return subprocess.run(["openssl", *map(str, words)], input=stdin, check=True, capture_output=True).stdout

    def rotate(self, connector, **body):
        return self.host.api("POST", f"/workspaces/w/connectors/{connector}:rotate-hook", body, expect=201).json

    def post(self, connector, body, headers=None, below="", method="POST"):
        return self.host.request(method, self.paths[connector] + below, body, key="",
                                 type=None, headers={"Content-Type": "application/json", **(headers or {})})

    def signed(self, body, at=None, event="reading", below="/hall2", **more):
        at = str(int(time.time()) if at is None else at)
        mac = hmac.new(SECRET.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"X-Time": at, "X-Signature": "sha256=" + mac, "X-Event": event, **more}
        return self.post("hook", body, headers, below)

    def rows(self, store="readings"):
        return self.host.rows("w", f"datastore:{store}")

    def letters(self):
        return self.host.api("GET", "/workspaces/w/dead-letters").json["items"]

    def state(self, connector):
        return self.host.api("GET", f"/workspaces/w/connectors/{connector}").json


def events(*readings):
    return json.dumps({"events": [{"at": at, "sensor": s, "reading": v} for at, s, v in readings]}).encode()


def believed_or_not(stage):
    body = events((1774720800000, "a", 1.5), (1774720801000, "b", 2.5))
    for what, answer in {
            "unsigned": stage.post("hook", body, {"X-Time": str(int(time.time()))}),
            "another body": stage.signed(body, **{"X-Signature": "sha256=" + "0" * 64}),
            "half a signature": stage.signed(body, **{"X-Signature": "sha256=ab"}),
            "no prefix": stage.signed(body, **{"X-Signature": "0" * 64}),
            "replayed": stage.signed(body, at=int(time.time()) - 301),
            "from the future": stage.signed(body, at=int(time.time()) + 400),
            "no time": stage.signed(body, at="soon")}.items():
        equal(answer.status, 401, what)
    equal(stage.letters(), [], "dead letters of strangers")
    answer = stage.signed(body)
    equal((answer.status, answer.text), (200, '{"ok":true}'), "a believed request")
    equal(answer.headers["Content-Type"], "application/json", "its type")
    wait_for("the batch of events", lambda: len(stage.rows()) == 2)
    row = stage.rows()[0]
    equal((row["device"], row["value"], row["site"]), ("a", 1.5, "hall2"), "what became of an event")
    equal(stage.signed(body, at=int(time.time()) - 250).status, 200, "within the tolerance")


def an_elliptic_curve(stage):
    body = b'{"time":"2026-03-28T18:00:00Z","device":"ec"}\n'
    given = stage.host.folder / "body"
    given.write_bytes(body)
    der = stage.openssl("dgst", "-sha256", "-sign", stage.pem, given)
    r_len = der[3]
    r, s = der[4:4 + r_len], der[6 + r_len:]
    raw = r.lstrip(b"\0").rjust(32, b"\0") + s.lstrip(b"\0").rjust(32, b"\0")
    for what, signature, status in (("DER", der, 204), ("both numbers", raw, 204), ("of something else", der[:-1] + b"x", 401)):
        answer = stage.post("keyed", body, {"x-signature": base64.b64encode(signature).decode()})
        equal(answer.status, status, what)
    wait_for("its row", lambda: [r for r in stage.rows() if r["device"] == "ec"])


def what_is_no_row(stage):
    """The sender is told that it was taken; what was wrong with it is kept."""
    for body, code in ((b"{", "json"), (b'{"error":"away"}', "path"), (events(("x", "a", 1)), "type")):
        equal(stage.signed(body).status, 200, f"a body with {code}")
    equal(stage.signed(events((1, "a", 1)), event="gift").status, 202, "a kind that into does not name")
    found = wait_for("the dead letters", lambda: len(stage.letters()) >= 4 and stage.letters())
    equal(sorted(l["code"] for l in found), ["json", "path", "stream", "type"], "why")
    check(all(l["origin"] == "connector:hook" for l in found), "where from", found)


def tokens(stage):
    first = stage.paths["open"]
    line = b'{"time":"2026-03-28T18:00:00Z","device":"t"}\n'
    equal(stage.post("open", line).status, 204, "the first token")
    shown = stage.host.api("GET", "/workspaces/w/connectors/open/hook").json["tokens"]
    equal([t["expires"] for t in shown], [None], "one token, for ever")
    stage.paths["open"] = stage.rotate("open", keep_old_seconds=60)["path"]
    equal(stage.post("open", line).status, 204, "the second token")
    equal(stage.host.request("POST", first, line, key="").status, 204, "the first one in its last minute")
    second, stage.paths["open"] = stage.paths["open"], stage.rotate("open")["path"]
    for gone in (first, second, "/hooks/psh_" + "a" * 32, "/hooks/x"):
        answer = stage.host.request("POST", gone, line, key="")
        equal(answer.status, 404, "a token that is gone, or never was")
        check(gone.split("/")[2] not in answer.text, "a problem shows no token", answer.text)
    equal(stage.host.request("DELETE", second, None, key="").status, 405, "another method")
    equal(stage.host.api("POST", "/workspaces/w/connectors/open:rotate-hook", {"keep_old_seconds": 604801}, expect=422).status,
          422, "too long an overlap")
    log, kept = stage.host.log(), str(stage.host.sql("SELECT * FROM control.hook", database="penstock_control"))
    for path in (first, second, stage.paths["open"], stage.paths["hook"]):
        check(path.split("/")[2] not in log and path.split("/")[2] not in kept, "a token is in no log and no table")
    check(SECRET not in log, "the secret is in no log")


def limits(stage):
    for size in (BODY_MAX - 1, BODY_MAX):
        equal(stage.post("open", b" " * size).status, 204, f"{size} bytes")
    connection = http.client.HTTPConnection("127.0.0.1", stage.host.port, timeout=10)
    connection.putrequest("POST", stage.paths["open"])
    connection.putheader("Content-Length", str(BODY_MAX + 1))
    connection.endheaders()
    answer = connection.getresponse()
    equal(answer.status, 413, "a byte more, refused on its head")
    equal(json.loads(answer.read())["limit"], {"name": "body", "value": BODY_MAX, "set_by": "fixed"}, "its limit")
    connection.close()
    stage.host.api("POST", "/workspaces/w/connectors/open:pause")
    answer = stage.post("open", b"{}")
    equal((answer.status, "Retry-After" in answer.headers), (503, True), "a paused connector")
    stage.host.api("POST", "/workspaces/w/connectors/open:resume")
    answers = []
    threads = [threading.Thread(target=lambda: answers.extend(stage.post("open", b"") for _ in range(100)))
               for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal({a.status for a in answers}, {204, 429}, "600 requests at once")
    refused = next(a for a in answers if a.status == 429)
    equal(refused.json["limit"], {"name": "limits.hook_rate", "value": 100, "set_by": "platform"}, "the rate")
    equal(refused.headers["Retry-After"], "1", "when there is a turn again")


def plugins_that_die(stage):
    taken = stage.post("deadly", b"3", {"x-kind": "n"})
    equal((taken.status, taken.text), (202, "thanks"), "a plugin that works")
    answer = stage.post("deadly", b"a pill", {"x-kind": "n"})
    equal((answer.status, answer.text), (202, ""), "a body that kills it twice")
    letter = wait_for("its dead letter", lambda: [l for l in stage.letters() if l["code"] == "poison"])[0]
    check("died on this request twice" in letter["detail"], "why", letter)
    equal(stage.post("deadly", b"1", {"x-kind": "n"}).status, 202, "the next body")
    equal(stage.post("deadly", b"1").status, 202, "one that the plugin calls bad is kept too")
    wait_for("that letter", lambda: [l for l in stage.letters() if l["detail"] and "no header x-kind" in l["detail"]])
    answer = stage.post("refusing", b"1", {"x-kind": "n"})
    equal((answer.status, "Retry-After" in answer.headers), (503, True), "a configuration that the plugin refuses")
    equal(stage.state("refusing")["state"], "needs_you", "which a person must see to")


def line(n, device):
    return json.dumps({"time": "2026-03-28T18:%02d:%02dZ" % divmod(n, 60), "device": device, "value": n}).encode() + b"\n"


def senders_that_fail(stage):
    """Who breaks off, dawdles, or does not hear the answer: nothing of half a request is kept, and nobody else waits."""
    def begin(body, cut=0):
        s = socket.create_connection(("127.0.0.1", stage.host.port), 10)
        head = f"POST {stage.paths['open']} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        s.sendall(head.encode() + body[:len(body) - cut])
        return s

    def rows(device):
        return sorted(r["value"] for r in stage.rows() if r["device"] == device)
    letters = len(stage.letters())
    slow = [begin(line(n, "slow"), cut=5) for n in range(40)]
    for n in range(5):
        begin(line(n, "cut"), cut=5).close()
    began = time.monotonic()
    equal(stage.post("open", line(0, "other")).status, 204, "while others dawdle")
    check(time.monotonic() - began < 2, "nobody waits for them", time.monotonic() - began)
    for n in range(5):  # half closed: it has said all that it has to say, and hears an answer or that the connection ends
        s = begin(line(n, "half"))
        s.shutdown(socket.SHUT_WR)
        said = s.recv(1000)
        check(said in (b"",) or said.startswith(b"HTTP/1.1 204"), "to a half closed connection", said)
        equal(stage.post("open", line(n, "half")).status, 204, "sent again")
    for n in range(5):  # it never hears the answer, and sends again
        s = begin(line(n, "deaf"))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    equal({stage.post("open", line(n, "deaf")).status for n in range(5)}, {204}, "sent again")
    for n, s in enumerate(slow):
        s.sendall(line(n, "slow")[-5:])
        said = s.recv(1000)
        check(said.startswith(b"HTTP/1.1 204"), f"who comes to an end is answered ({n})", said)
        s.close()
    wait_for("the rows", lambda: (rows("half"), rows("deaf"), rows("slow")) == ([0.0, 1, 2, 3, 4], [0.0, 1, 2, 3, 4], [float(n) for n in range(40)]))
    equal(rows("cut"), [], "half a request")
    equal(len(stage.letters()), letters, "nor is it a dead letter")
    check(stage.state("open")["state"] in ("live", "backfilling"), "it is nothing of the connector's", stage.state("open"))


def secrets_that_are_missing(stage):
    """Nobody is believed, and nothing is taken, until there is one; then at once."""
    send = lambda token: stage.post("unset", line(0, "unset"), {"X-Token": token}).status
    equal(send("anything"), 503, "without a secret")
    wait_for("its state", lambda: stage.state("unset")["state"] == "needs_you" and "later_key" in stage.state("unset")["error"], 5)
    stage.host.cli("secret", "set", "later_key", "-w", "w", stdin="s3cret")
    equal([send("wrong"), send("s3cret")], [401, 204], "with one")
    wait_for("it is well", lambda: stage.state("unset")["state"] in ("live", "backfilling"), 5)
    stage.host.cli("secret", "set", "later_key", "-w", "w", stdin="another")
    equal([send("s3cret"), send("another")], [401, 204], "with a new one")


def the_database_is_away(stage):
    """The journal has it, so the sender hears so; it is stored once when PostgreSQL is back."""
    with stage.host.without_database():
        stage.host.end_database(signal.SIGQUIT)
        equal({stage.post("open", line(n, "away")).status for n in range(20)}, {204}, "while it is away")
    wait_for("PostgreSQL is back", stage.host.postmaster, 60)
    stage.host.wait_ready()
    wait_for("the rows", lambda: sorted(r["value"] for r in stage.rows() if r["device"] == "away") == [float(n) for n in range(20)], 60)


def durable_when_answered(stage):
    """kill -9 between answers: every request that was answered is in the table."""
    answered = []

    def send(name):
        for i in range(1000):
            body = events((1774720800000 + i, name, i))
            try:
                if stage.signed(body).status == 200:
                    answered.append((name, i))
            except OSError:
                return

    threads = [threading.Thread(target=send, args=(f"d{n}",)) for n in range(4)]
    for t in threads:
        t.start()
    wait_for("some answers", lambda: len(answered) > 100)
    stage.host.kill()
    for t in threads:
        t.join()
    stage.host.start(same_port=True)
    wait_for("what was answered", lambda: set(answered) <= {(r["device"], int(r["value"])) for r in stage.rows() if r["value"] is not None})
    wait_for("the hook again", lambda: stage.signed(events((1774720900000, "late", 1))).status == 200)


def too_many_wait():
    """The plugin stands still: as many requests as may wait do, each one more is refused with the limit's name, and all that
    waited are answered when it goes on."""
    stage = Stage(["--limits-hook-rate", 10000, "--plugins-deadline-receive", 60000])
    equal(stage.post("open", b"").status, 204, "while it runs")
    pid = cells.running(stage.host, "connector:open")["pid"]
    asked = [http.client.HTTPConnection("127.0.0.1", stage.host.port, timeout=30) for _ in range(WAITING_MAX + 3)]
    os.kill(pid, signal.SIGSTOP)
    try:
        for connection in asked:
            connection.request("POST", stage.paths["open"], b"", {"Content-Type": "application/json"})
        readable = lambda: select.select([c.sock for c in asked], [], [], 0)[0]
        wait_for("three refusals", lambda: len(readable()) >= 3)
        refused = [c for c in asked if c.sock in readable()]
        equal(len(refused), 3, "refused")
        for connection in refused:
            answer = connection.getresponse()
            equal((answer.status, answer.headers["Retry-After"]), (503, "1"), "one too many")
            equal(json.loads(answer.read())["limit"], {"name": "hook_waiting", "value": WAITING_MAX, "set_by": "fixed"}, "its limit")
    finally:
        os.kill(pid, signal.SIGCONT)
    equal({c.getresponse().status for c in asked if c not in refused}, {204}, "those that waited")
    equal(stage.post("open", b"").status, 204, "the next one")
    for connection in asked:
        connection.close()
    stage.host.cli("workspace", "delete", "w", "--confirm", "w")
    equal(stage.post("open", b"").status, 404, "the hook of a workspace that is gone")


def hooks():
    stage = Stage()
    believed_or_not(stage)
    an_elliptic_curve(stage)
    what_is_no_row(stage)
    tokens(stage)
    plugins_that_die(stage)
    senders_that_fail(stage)
    secrets_that_are_missing(stage)
    the_database_is_away(stage)
    durable_when_answered(stage)
    limits(stage)  # what it uses up would be missing elsewhere


harness.main(hooks, too_many_wait)
