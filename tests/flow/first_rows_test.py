"""docs/first-rows.md does what it says: from `discover` to rows that can be charted in three commands, which are the page's own and
run as they stand. Each section has a server of its kind here, in the place of the example's; what stands before a section's file
prepares it."""
import http.server
import json
import os
import re
import subprocess

import harness
import mqtt_peer
import postgres_peer
from harness import BUILD, SOURCE, check, equal, say, wait_for
from s3_server import Bucket

PAGE = SOURCE / "docs" / "first-rows.md"
SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(yaml|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS_MOST = 3
START = 1774720800000


def mqtt(folder):
    broker = mqtt_peer.Broker().start()
    messages = [(f"plant/pump-{n}/telemetry", json.dumps({"ts": START + n, "flow": n + 0.5, "running": True})) for n in range(3)]
    mqtt_peer.Peer(broker.port).publish(messages, retain=True)
    return {"mqtt://broker.example.com": broker.url}


class Readings(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        items = [{"station": f"s{n}", "at": f"2026-03-28T18:00:0{n}Z", "t": 20.5 + n} for n in range(3)]
        body = json.dumps({"data": {"items": items}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def http_poll(folder):
    return {"api.example.com": f"127.0.0.1:{harness.Sink(Readings).port}"}


def sql(folder):
    peer = postgres_peer.Postgres().start().with_reader()
    peer.sql("CREATE TABLE readings (id bigserial PRIMARY KEY, at timestamptz NOT NULL, device text NOT NULL, level float);"
             "INSERT INTO readings (at, device, level) SELECT '2026-03-28'::timestamptz + n * interval '1 min', 'd' || n, n / 2.0 "
             "FROM generate_series(1, 3) n", "shop")
    (folder / "password.txt").write_text(postgres_peer.READERS_PASSWORD)
    return {"db.example.com": peer.address}


def s3(folder):
    bucket = Bucket(access="AKID", secret="s3cr3t/+key").serve()
    lines = ["time,device,level", *(f"2026-03-28T18:00:0{n}Z,d{n},{n + 0.5}" for n in range(3))]
    bucket.put("plant/2026-03-28.csv", ("\n".join(lines) + "\n").encode())
    (folder / "access.txt").write_text("AKID")
    (folder / "secret.txt").write_text("s3cr3t/+key")
    return {"http://bucket.s3.example.com": bucket.url}


# A section of the page and its server: gives what the example's names are here.
SOURCES = {"MQTT": mqtt, "HTTP": http_poll, "S3": s3, "SQL": sql}


def run(command, folder, env):
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120, check=False)


def run_well(command, folder, env):
    done = run(command, folder, env)
    equal(done.returncode, 0, f"exit code of `{command}`\n{done.stdout[-1000:]}{done.stderr[-2000:]}")


def commands(block):
    return [line for line in block.splitlines() if line.strip()]


def write(folder, content, names):
    for name, here in names.items():
        check(name in content, f"the page's example is at {name}")
        content = content.replace(name, here)
    (folder / "plant.yaml").write_text(content)


def section(before, title, text):
    folder = harness.folder()
    names = SOURCES[title](folder)
    host = harness.Host().start()
    env = {**harness.clean_environment(), "PATH": f"{BUILD / 'cli'}:{os.environ['PATH']}", "NO_COLOR": "1",
           "PENSTOCK_CONFIG": str(host.folder / "cli.yaml")}
    shown, prepared = [], False
    for kind, content in BLOCK.findall(before) + BLOCK.findall(text):
        if kind == "yaml":
            write(folder, content, names if prepared else {})
            shown, prepared = [], True
        else:
            shown = commands(content)
            for command in shown[:-1] if "store rows" in shown[-1] else shown:
                run_well(command, folder, env)
    check(len(shown) <= COMMANDS_MOST and "discover" in shown[0], f"{title}: three commands, of which the first is discover", shown)
    found = run(shown[-1], folder, env)
    check(found.returncode == 0 and len(found.stdout.splitlines()) > 1, f"{title}: rows are shown at once", found.stdout, found.stderr)
    store = re.search(r"datastore:(\w+)", shown[-1]).group(1)
    rows = wait_for(f"{title}: all rows", lambda: (lambda r: r if len(r) == 3 else None)(host.rows("plant", f"datastore:{store}")), 5)
    numbers = {k for r in rows for k, v in r.items() if isinstance(v, float) and not k.startswith("_")}
    times = [k for k, v in rows[0].items() if isinstance(v, str) and re.match(r"2026-\d\d-\d\dT", v) and not k.startswith("_")]
    check(numbers and times, f"{title}: a time and a number, so they can be charted", rows[0], found.stdout)
    check(f"time: " in (folder / "plant.yaml").read_text(), f"{title}: the store has an event time", (folder / "plant.yaml").read_text())
    say(f"{title}: {len(shown)} commands, {len(rows)} rows with {sorted(numbers)} over {times}")


def first_rows():
    sections = dict(SECTION.findall(PAGE.read_text()))
    before = sections.pop("Before")
    equal(set(sections), set(SOURCES), "the page's sections, and those that have a server here")
    for title, text in sections.items():
        section(before, title, text)


if __name__ == "__main__":
    harness.main(first_rows)
