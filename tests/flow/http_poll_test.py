"""http_poll against a server of the test's own: each way of paging and of logging in, and each way in which a far side can
fail. What must hold throughout: every row is in the store once, and the connector's state says within five seconds what is
wrong."""
import base64
import http.server
import json
import threading
import time
import urllib.parse

import harness
from harness import check, equal, wait_for

STATE_S = 5.0
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: polled, version: 1.0.%d, title: Polled}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties:
        time: {type: string, format: date-time}
        device: {type: string}
        value: {type: number}
    time: time
    entity: [device]
    unique: [device, time]
    accept: {past: any, future: any}
connectors:
%s
"""


def row(n, device="d1", value=None):
    return {"time": f"2026-03-01T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z", "device": device, "value": n if value is None else value}


class Api:
    """Answers each GET and POST by `answer(request)`: (status, headers, body), or None = the connection is cut. A request has
    path, query (the first value of each name), headers, body, n (how many of that path came before)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            api = self.server.sink
            url = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = {"path": url.path, "query": dict(urllib.parse.parse_qsl(url.query)), "headers": self.headers, "body": body,
                     "n": sum(r["path"] == url.path for r in api.all()), "at": time.monotonic()}
            api.keep(asked)
            said = api.answer(asked)
            if said is None:
                self.close_connection = True
                return
            status, headers, body = said
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *words):
            pass


class Server(harness.Sink):
    def __init__(self, answer, tls=None):
        self.answer, self.tls = answer, tls
        super().__init__(Api.Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


def ok(body, **headers):
    return 200, {k.replace("_", "-"): v for k, v in headers.items()}, body


versions = iter(range(10000))


def connector(name, config, decode=None):
    config.setdefault("every_s", 1)
    settings = {"plugin": "org.penstock.connector.http-poll", "config": config, "format": "json", "into": "datastore:readings"}
    if decode:
        settings["decode"] = decode
    return f"  {name}: {json.dumps(settings)}"


def give(host, *connectors):
    """Makes the workspace, or its next version, with these connectors."""
    n = next(versions)
    template = host.folder / "polled.yaml"
    template.write_text(TEMPLATE % (n, "\n".join(connectors)))
    host.cli("template", "apply", "-f", template, "--yes", *(["--all"] if n else []))
    if not n:
        host.workspace("one", "polled")


def stored(host):
    return {(r[0], r[1]): float(r[2]) for r in host.sql(
        "SELECT device, extract(epoch from time)::bigint, value FROM datastore.readings_wid1")}


def look(host, name):
    for c in host.api("GET", "/workspaces/one/connectors").json["items"]:
        if c["key"] == name:
            return c
    return None


def wait_state(host, name, state, words="", within=STATE_S):
    def probe():
        seen = look(host, name)
        return seen if seen and seen["state"] == state and words in (seen.get("problem") or "") else None
    began = time.monotonic()
    try:
        return wait_for(f"{name} is {state} {words}", probe, within)
    except harness.Failed as e:
        raise harness.Failed(f"{e}: {look(host, name)} after {time.monotonic() - began:.1f} s") from None


def paging():
    rows = [row(n) for n in range(25)]

    def by_page(r):
        page = int(r["query"]["page"])
        return ok(rows[(page - 1) * 10:page * 10])

    server = Server(by_page)
    host = harness.Host().start()
    give(host, connector("page", {"url": server.url + "/page", "paging": {"by": "page", "parameter": "page", "size": 10}}))
    wait_for("all pages", lambda: len(stored(host)) == 25, 20)
    wait_state(host, "page", "ok")


harness.main(paging)
