"""A far side that speaks HTTP, for the tests of connectors: it answers as it is told, also over TLS with a throwaway authority. And
what a connector of the workspace "one" is asked for, beside it."""
import http.server
import json
import socket
import ssl
import time
import urllib.parse

import harness
from harness import wait_for

STATE_S = 5.0


class Api:
    """Answers each GET, POST, PUT and OPTIONS by `answer(request)`: (status, headers, body), or None = the connection is cut. A request has
    method, target, path, query (the first value of each name), headers, body, n (how many of that path came before)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            api = self.server.sink
            url = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = {"method": self.command, "target": self.path, "path": url.path, "query": dict(urllib.parse.parse_qsl(url.query)),
                     "headers": self.headers, "body": body, "n": sum(r["path"] == url.path for r in api.all()), "at": time.monotonic(), "connection": self.connection}
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

        do_GET = do_POST = do_PUT = do_OPTIONS = answer

        def log_message(self, *words):
            pass


class Server(harness.Sink):
    def __init__(self, answer, tls=None, port=0):
        self.answer, self.tls = answer, tls
        super().__init__(Api.Handler, lambda _, handler: harness._Server(("127.0.0.1", port), handler))
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


class Absent:
    """One that is not there yet: its port is taken, so that nobody else gets it, and nobody listens."""

    def __init__(self, answer):
        self.answer, self.socket = answer, socket.socket()
        harness.at_end(self.socket.close)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def come(self):
        return Server(self.answer, port=self.port)


def ok(body, **headers):
    return 200, {k.replace("_", "-"): v for k, v in headers.items()}, body


def look(host, name):
    for c in host.api("GET", "/workspaces/one/connectors").json["items"]:
        if c["key"] == name:
            return c
    return None


def wait_state(host, name, state, words="", within=STATE_S):
    def probe():
        seen = look(host, name)
        return seen if seen and seen["state"] == state and words in (seen.get("error") or "") else None
    began = time.monotonic()
    try:
        return wait_for(f"{name} is {state} {words}", probe, within)
    except harness.Failed as e:
        raise harness.Failed(f"{e}: {look(host, name)} after {time.monotonic() - began:.1f} s") from None


def again(host, *names):
    """At once, not when the minute is over."""
    for name in names:
        for verb in ("pause", "resume"):
            host.api("POST", f"/workspaces/one/connectors/{name}:{verb}")


def look_ok(host, name, within=STATE_S):
    wait_for(f"{name} is well", lambda: look(host, name)["state"] in ("live", "backfilling"), within)


def tls_server(folder, name, answer, client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.pem")
    return Server(answer, tls=context)
