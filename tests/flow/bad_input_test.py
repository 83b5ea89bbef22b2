"""What is wrong is refused clearly, with its place, and takes nothing good with it: bodies, keys, templates, command lines,
a second host on the same state. And: SIGTERM in the middle of ingest loses nothing that was acknowledged; a plugin is
found while the host runs."""
import gzip
import http.client
import json
import shutil
import subprocess
import threading

import harness
from harness import check, equal, wait_for

HERE = harness.SOURCE / "tests" / "flow"
ROWS = "/api/v1/workspaces/w/datastores/events/rows?wait=stored"
BODY_MAX = 16 << 20


def host_with_store(**more):
    host = harness.Host(**more).start()
    host.apply(HERE / "rollup.yaml")
    host.workspace("w", "rollup")
    return host


def row(series, minute, **values):
    return {"ts": f"2026-03-28T18:{minute:02d}:00Z", "series": series, **values}


def refused(answer, status, pointer=None, says=""):
    """A problem document with everything a person needs; `pointer` is that of its first error."""
    equal(answer.status, status, f"status of {answer.text[:300]}")
    equal(answer.headers["Content-Type"].split(";")[0], "application/problem+json", "Content-Type")
    problem = answer.json
    for name in ("type", "title", "detail", "instance", "request_id"):
        check(problem.get(name), f"the problem has a {name}", problem)
    equal(problem["status"], status, "status in the problem")
    check(says in problem["detail"], f"the detail says {says!r}", problem)
    if pointer is not None:
        equal(problem["errors"][0]["pointer"], pointer, "pointer")


def stored(host):
    return {(r["series"], r["ts"][14:16]) for r in host.rows("w", "datastore:events")}


# ---- bodies ----


def whole_bodies(host):
    """Those of which no row can be told from another."""
    good = json.dumps(row("none", 0)).encode()

    def post(body, type="application/x-ndjson", path=ROWS, **more):
        return host.request("POST", path, body, type=type, **more)

    refused(post(b"[" + good + b', {"ts', "application/json"), 400, says="JSON")
    refused(post(b"", "text/csv"), 400, says="header")
    refused(post(b"no gzip", headers={"Content-Encoding": "gzip"}), 400, says="gzip")
    refused(post(gzip.compress(good)[:-6], headers={"Content-Encoding": "gzip"}), 400, says="gzip")
    refused(post(gzip.compress(b"\n" * (65 << 20)), headers={"Content-Encoding": "gzip"}), 413)
    refused(post(good, headers={"Content-Encoding": "br"}), 415)
    refused(post(good, "application/xml"), 415)
    refused(post(good, path=ROWS.replace("stored", "soon")), 400, says="wait")
    refused(post(good, path=ROWS.replace("events", "event")), 404, says="event")
    refused(post(good, path=ROWS.replace("/w/", "/v/")), 404, says="workspace")
    refused(post(good, key="psk_" + "a" * 30), 401)
    refused(post(good, key=""), 401)
    refused(host.request("PUT", ROWS, good), 405)
    refused(declared(host, BODY_MAX + 1), 413)
    at_limit = json.dumps(row("limit", 1)).encode()
    equal(post(at_limit + b"\n" * (BODY_MAX - len(at_limit))).status, 200, "a body as large as it may be")


def declared(host, length):
    """The answer to a head that announces so many bytes: it comes before they are sent."""
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    connection.putrequest("POST", ROWS)
    for name, value in (("Authorization", f"Bearer {host.key}"), ("Content-Type", "application/x-ndjson"),
                        ("Content-Length", str(length))):
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    answer = harness.Answer(response, response.read())
    connection.close()
    return answer


MIXED = [  # line, code, pointer; None = good
    (row("m1", 2, pressure=1.5), None, None),
    ('{"ts":', "json", ""),
    (row("m2", 2, pressure="high"), "type", "/pressure"),
    ({**row("m3", 2), "ts": "yesterday"}, "format", "/ts"),
    ({"ts": "2026-03-28T18:02:00Z"}, "required", "/series"),
    (row("m4", 2, surprise=1), "additional", "/surprise"),
    ([1, 2], "type", ""),
    (row("m5", 2, level=3), None, None),
]


def mixed_bodies(host):
    """Good rows of a body are kept, bad ones named by number, place and reason, and kept as dead letters."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line, _, _ in MIXED)
    verdict = host.ingest("w", "events", text.encode())
    equal((verdict["received"], verdict["accepted"], verdict["rejected"]), (8, 2, 6), "verdict")
    equal([(e["row"], e["line"], e["code"], e["pointer"]) for e in verdict["errors"]],
          [(i, i + 1, code, at) for i, (_, code, at) in enumerate(MIXED) if code], "errors")
    verdict = host.ingest("w", "events", b"ts,series,pressure\n2026-03-28T18:03:00Z,c1,1\n2026-03-28T18:03:00Z,c2,abc\n"
                          b"2026-03-28T18:03:00Z\n2026-03-28T18:03:00Z,c3,2\n", type="text/csv")
    equal([(e["row"], e["line"], e["code"]) for e in verdict["errors"]], [(1, 3, "type"), (2, 4, "csv")], "errors of CSV")
    dead = host.cli_json("deadletter", "list", "-w", "w")["items"]
    equal(sorted(d["code"] for d in dead), sorted([c for _, c, _ in MIXED if c] + ["type", "csv"]), "dead letters")


def bodies():
    host = host_with_store()
    host.ingest("w", "events", [row("before", 0)])
    whole_bodies(host)
    mixed_bodies(host)
    host.ingest("w", "events", [row("after", 9)])
    equal(stored(host), {("before", "00"), ("limit", "01"), ("m1", "02"), ("m5", "02"), ("c1", "03"), ("c3", "03"),
                         ("after", "09")}, "rows that are there")
    books = host.sql("SELECT sum(received), sum(stored), sum(rejected), sum(dropped) FROM penstock.ledger_wid1")[0]
    equal(books, ["15", "7", "8", "0"], "received, stored, rejected, dropped in the ledger")
    equal(host.stop()[0], 0, "exit code")


# ---- templates and the command line ----


def templates():
    host = host_with_store()
    good, path = (HERE / "rollup.yaml").read_text(), host.folder / "t.yaml"

    def wrong(text, place, says, offline=True):
        path.write_text(text)
        for words in (["template", "validate", path], ["template", "apply", "-f", path, "--yes"])[0 if offline else 1:]:
            out = host.cli(*words, code=7)
            said = out.text + out.errors
            check(f"t.yaml:{place}" in said and says in said, f"{words[1]} names {place} and says {says!r}", said)

    lines = good.splitlines()
    line_of = lambda word: 1 + next(i for i, line in enumerate(lines) if word in line)
    wrong(good.replace("key: [bucket, series]", "key: [bucket, series"), f"{line_of('refresh:')}", "YAML")
    wrong(good.replace("bucket: 10m", "bucket: 10"), f"{line_of('bucket: 10m')}:13", "must be string")
    wrong(good.replace("from: [datastore:events]", "from: [datastore:event]"), f"{line_of('from: [')}:12", "event")
    missing = good + "notifiers:\n  n: {plugin: org.penstock.notifier.emial, config: {to: [a@example.org]}}\n"
    wrong(missing, f"{len(lines) + 2}:15", "no notifier plugin", offline=False)
    refused(host.request("POST", "/api/v1/workspaces", b'{"key": ', headers=once(1)), 400, says="JSON")
    refused(host.request("POST", "/api/v1/workspaces", {"key": "x", "template": "rollop"}, headers=once(2)), 422,
            "/template")
    refused(host.request("POST", "/api/v1/workspaces", {"key": "x", "template": "rollup", "parameters": {"surprise": 1}},
                         headers=once(4)), 422, "/parameters/surprise")
    refused(host.request("POST", "/api/v1/workspaces/w/models/none:train", headers=once(3)), 404)
    host.cli("ingest", "events", "-", "--format", "ndjson", "-w", "w", stdin='{"ts": 1}\n', code=7)
    host.cli("ingest", "events", "-", "--format", "ndjson", "-w", "w", stdin='{"ts": 1}\n' + json.dumps(row("a", 1)), code=9)
    host.cli("ingest", "event", "-", "--format", "ndjson", "-w", "w", stdin=json.dumps(row("a", 1)), code=4)
    host.cli("store", "rows", "datastor:events", "-w", "w", code=2)
    equal(stored(host), {("a", "01")}, "rows that are there")
    second = subprocess.run(harness.Host(state=host.state).command(), capture_output=True, text=True, timeout=30)
    equal(second.returncode, 1, "exit code of a second host")
    check("another host uses this state folder" in second.stderr and "try:" in second.stderr, "it says why", second.stderr)
    equal(host.request("GET", "/readyz").status, 200, "the first host goes on")


def once(n):
    return {"Idempotency-Key": f"11111111-1111-4111-8111-{n:012d}"}


# ---- stopping and plugins ----


def stopping():
    """What was acknowledged until SIGTERM is there after the next start."""
    host, taken, under_way = host_with_store(), [], threading.Event()

    def push(name):
        for i in range(100000):
            series = f"{name}{i}"
            try:
                answer = host.request("POST", ROWS.partition("?")[0], json.dumps(row(series, 0)).encode(),
                                      type="application/x-ndjson")
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 202:
                taken.append((series, "00"))
                if i == 20:
                    under_way.set()

    pushers = [threading.Thread(target=push, args=(name,), daemon=True) for name in "ab"]
    for pusher in pushers:
        pusher.start()
    check(under_way.wait(60), "rows are taken")
    code, seconds = host.stop()
    equal(code, 0, "exit code after SIGTERM")
    check(seconds < harness.STOP_S, f"it took {seconds:.1f} s to stop")
    for pusher in pushers:
        pusher.join(30)
    host.start()
    wait_for("every acknowledged row is stored", lambda: set(taken) <= stored(host), 30)


def plugins():
    """Dropped into the folder while the host runs: found; no plugin at all: listed with what is wrong."""
    folder = harness.folder() / "plugins"
    folder.mkdir(mode=0o755)
    host = harness.Host(plugins=[folder]).start()
    shown = lambda: {p["file"].rsplit("/", 1)[-1]: p for p in host.cli_json("plugin", "list")["items"]}
    equal(shown(), {}, "plugins of an empty folder")
    template = host.folder / "t.yaml"
    template.write_text((HERE / "rollup.yaml").read_text() + "notifiers:\n  n: {plugin: org.penstock.notifier.webhook, "
                        "config: {url: \"http://127.0.0.1:1/\"}}\n")
    host.cli("template", "apply", "-f", template, "--yes", code=7)
    shutil.copy(harness.PLUGINS / "notifiers" / "webhook.so", folder)
    (folder / "letter.so").write_text("Dear host, I am a plugin.")
    wait_for("the plugin is found", lambda: shown().get("webhook.so", {}).get("state") == "ok", 30)
    wait_for("the letter is found out", lambda: shown().get("letter.so", {}).get("error"), 30)
    host.apply(template)


harness.main(bodies, templates, stopping, plugins)
