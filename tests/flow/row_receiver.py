"""A host with one sink that posts rows, and the server that they are posted to, which does as its mode says."""
import http.server
import json
import threading

from harness import Host, Sink, at_end, check

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: out, version: 1.0.{version}}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: true
      properties: {{time: {{type: string, format: date-time}}, device: {{type: string}}, value: {{type: number}}}}
    time: time
    entity: [device]
    {key}
    accept: {{past: any, future: any}}
sinks:
  lake:
    paused: {paused}
    plugin: org.penstock.connector.webhook-out
    from: datastore:readings
    config: {{url: "{url}", timeout_ms: 2000{config}}}
    batch: {{rows: {rows}, every: 100ms}}
"""
KEYED = "unique: [device, time]"


class Far(Sink):
    """Takes posts of rows as `mode` says: ok, down (503), hang, wrong (400 while a row has the value 13), named (says which)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            far = self.server.sink
            far.begun += 1
            text = body.decode()
            rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
            bad = [i for i, row in enumerate(rows) if row.get("value") == 13]
            status, answer, more = 200, b"", {}
            if far.mode == "hang":
                far.released.wait(20)
            if far.mode in ("hang", "down"):
                status, more = 503, {"Retry-After": "1"} if far.retry_after else {}
            elif far.mode == "wrong" and bad:
                status, answer = 400, b"value 13 is not taken"
            elif far.mode == "never":
                status, answer = 422, b"nothing is taken here"
            elif far.mode == "named":
                answer = json.dumps({"refused": [{"row": i, "reason": "it is thirteen"} for i in bad]}).encode()
            if far.mode == "deaf":  # takes them, and never says so
                far.keep({"id": self.headers["Idempotency-Key"], "headers": dict(self.headers), "rows": rows, "body": body})
                self.close_connection = True
                return
            if status == 200:
                far.keep({"id": self.headers["Idempotency-Key"], "headers": dict(self.headers), "rows": rows, "body": body})
            far.asked += 1
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words):
            pass

    def __init__(self, mode="ok"):
        self.mode, self.begun, self.asked, self.retry_after, self.released = mode, 0, 0, False, threading.Event()
        super().__init__(Far.Handler)
        at_end(self.released.set)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/rows"

    def rows(self):
        return [row for batch in self.all() for row in batch["rows"]]

    def once(self):
        """What is left when a receiver drops batches, and rows, that it has."""
        seen = {}
        for batch in self.all():
            for row in batch["rows"]:
                seen.setdefault(row["_seq"], row)
        return [seen[seq] for seq in sorted(seen)]


def template(far, key="", config="", rows=100, paused="false", version=0):
    return TEMPLATE.format(url=far.url, key=key, config=config, rows=rows, paused=paused, version=version)


def started(far, key="", config="", rows=100, paused="false", **more):
    host = Host(**more).start()
    path = host.folder / "out.yaml"
    path.write_text(template(far, key, config, rows, paused))
    host.apply(path)
    host.workspace("one", "out")
    return host


def add_sink(host, far, text):
    """The next version of the template, with one more sink like the one that is there."""
    path = host.folder / "out.yaml"
    path.write_text(template(far, version=1) + text)
    host.cli("template", "apply", "-f", path, "--yes", "--all")


def reading(n, device="d0", value=1.0, **more):
    return {"time": "2026-01-01T%02d:%02d:%02dZ" % (n // 3600, n // 60 % 60, n % 60), "device": device, "value": value, **more}


def sink_of(host):
    return host.api("GET", "/workspaces/one/sinks/lake").json


def in_order(far):
    seqs = list(dict.fromkeys(row["_seq"] for row in far.rows()))  # those that came again count once
    check(seqs == sorted(seqs), "rows came out of order", seqs[:50])
