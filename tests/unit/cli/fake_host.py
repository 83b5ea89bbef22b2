#!/usr/bin/env python3
"""Stands in for penstockd in the test of `penstock up`: not ready at first, then ready; writes an admin key."""
import http.server
import json
import os
import signal
import sys

flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
state, (host, port) = flags["--state"], flags["--listen"].split(":")
asked = 0
if os.path.exists(state + "/refuse"):
    print("no such database", file=sys.stderr)
    sys.exit(3)
if any("PENSTOCK_" + name in os.environ for name in ("CONFIG", "URL", "KEY", "WORKSPACE")):
    sys.exit(4)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        ready = asked > 2
        body = json.dumps({"ready": ready, "reasons": [] if ready else ["migrating"]}).encode()
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


server = http.server.HTTPServer((host, int(port)), Handler)
with open(os.open(state + "/admin.key", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
    file.write("psk_theadminkey\n")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
server.serve_forever()
