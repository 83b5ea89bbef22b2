"""PostgreSQL away when the host starts: rows are taken by the signed snapshot, also across a kill, and each is stored once
when PostgreSQL is back; everything else says why it must wait. A snapshot that was changed, or is not there, is refused
by name."""
import json
import os
import stat

import harness
import senders
from harness import check, equal, wait_for

ROWS = "/api/v1/workspaces/{}/datastores/plain/rows"


def make_host(more=""):
    """With a workspace that the snapshot knows."""
    host = harness.Host()
    template = host.folder / "faults.yaml"
    template.write_text(senders.TEMPLATE + more)
    host.start()
    host.apply(template)
    host.workspace("ws", "faults")
    wait_for("the snapshot knows the workspace", lambda: "ws" in workspaces(host))
    return host


def workspaces(host):
    file = host.state / "snapshot"
    return [w["key"] for w in json.loads(file.read_text().split("\n", 1)[1])["workspaces"]] if file.exists() else []


def send(host, n, ws="ws", **more):
    return host.request("POST", ROWS.format(ws), [senders.row(n)], **more)


HOOK = """
connectors:
  door:
    plugin: org.penstock.connector.webhook
    config: {check: none}
    format: ndjson
    into: datastore:plain
"""


def hooks_wait_too():
    """A sender is told to come again, never that its hook does not exist: many take that as an order to give up."""
    host = make_host(more=HOOK)
    path = host.api("POST", "/workspaces/ws/connectors/door:rotate-hook", {}, expect=201).json["path"]
    post = lambda n, at=path: host.request("POST", at, json.dumps(senders.row(n)).encode(), key="", type=None)
    equal(post(0).status, 204, "while all is well")
    host.kill()
    host.end_database()
    seen = set()

    def until(moment):
        """Requests all the time, also through every step of the start."""
        answer = post(1)
        seen.add(answer.status)
        return moment(answer)
    with host.without_database():
        host.launch(same_port=True)
        wait_for("rows are taken", lambda: until(lambda a: send(host, 2).status == 202), 60)
        answer = post(1)
        equal(answer.status, 503, "a hook that is there")
        check("before the database is back" in answer.text, "why", answer)
        check(answer.headers["Retry-After"] and path.split("/")[2] not in answer.text, "when, and no token", answer)
        equal(post(1, "/hooks/psh_" + "a" * 32).status, 503, "one that may have been made since")
    wait_for("the hook takes again", lambda: until(lambda a: a.status == 204), 60)
    equal(seen - {204}, {503}, "what the sender was told meanwhile")
    equal(post(1, "/hooks/psh_" + "a" * 32).status, 404, "one that never was")
    wait_for("its rows are stored", lambda: {n for n, in host.sql("SELECT DISTINCT n FROM datastore.plain_wid1")} >= {"0", "1", "2"})


def taken(host, n):
    answer = send(host, n)
    equal((answer.status, answer.json.get("accepted")), (202, 1), f"row {n}: {answer}")


def degraded(host):
    return wait_for("rows are taken", lambda: (a := host.request("GET", "/metrics", admin=True)) and "\npenstock_degraded 1\n" in a.text, 60)


def rows_are_taken():
    host = make_host()
    writer = host.cli("key", "create", "writer", "-w", "ws", "--scope", "write:datastore:*").text.strip()
    ended = host.cli("key", "create", "ended", "-w", "ws", "--scope", "write:datastore:*").text.strip()
    listed = host.cli_json("key", "list")["items"]
    host.cli("key", "revoke", next(k["id"] for k in listed if k["name"] == "ended"))
    text = lambda: (host.state / "snapshot").read_text()
    wait_for("the snapshot knows the keys", lambda: '"writer"' in text() and '"ended"' not in text())
    equal(stat.S_IMODE(os.stat(host.state / "snapshot").st_mode), 0o600, "its mode")
    check(writer not in text() and host.key not in text(), "no key stands in it")
    host.kill()
    host.end_database()
    with host.without_database():
        host.launch(same_port=True)
        degraded(host)
        for n in range(20):
            taken(host, n)
        equal(send(host, 20, key=writer).status, 202, "with a key that may write only")
        for refused, why in ((send(host, 21, key=ended), "not in the snapshot"), (send(host, 21, ws="other"), "not in the snapshot"),
                             (host.request("GET", "/api/v1/workspaces"), "degraded"), (host.request("GET", "/readyz"), "")):
            equal(refused.status, 503, f"what cannot be known: {refused}")
            check(why in refused.text, f"it says {why}", refused)
        equal(send(host, 21, key="").status, 401, "without a key")
        equal(host.request("GET", "/healthz").status, 200, "healthz")
        host.kill()
        host.launch(same_port=True)
        degraded(host)
        for n in range(21, 30):
            taken(host, n)
    host.wait_ready()
    equal(host.ingest("ws", "plain", [senders.row(30)])["accepted"], 1, "accepted rows once it is back")
    wait_for("the journal is empty", lambda: senders.waiting_rows(host) == 0, 60)
    equal(host.sql("SELECT count(*), count(DISTINCT n) FROM datastore.plain_wid1"), [["31", "31"]], "rows, different ones")
    equal(host.request("GET", "/readyz").status, 200, "readyz")


def what_is_not_as_it_was_is_refused():
    host = make_host()
    file = host.state / "snapshot"
    host.stop()
    host.end_database()
    good = file.read_bytes()
    at = good.index(b'"paused"')
    with host.without_database():
        for content, word in ((good[:at] + b'"Paused"' + good[at + 8:], "snapshot_tampered"), (good[:-40], "snapshot_tampered"),
                              (None, "snapshot_missing")):
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
            host.launch(same_port=True)
            answer = wait_for(f"it says {word}", lambda: (a := send(host, 1)) and word in a.text and a, 60)
            equal(answer.status, 503, "a row")
            host.kill()
        file.write_bytes(good)
        host.launch(same_port=True)
        degraded(host)
        taken(host, 1)
    host.wait_ready()
    wait_for("the row is stored", lambda: host.sql("SELECT n FROM datastore.plain_wid1") == [["1"]])


harness.main(rows_are_taken, hooks_wait_too, what_is_not_as_it_was_is_refused)
