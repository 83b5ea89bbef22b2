"""The sink for ClickHouse against Debian's server (18.16): rows arrive as they are, once in a ReplacingMergeTree, whatever dies."""
import http.client
import json
import shutil
import socket
import subprocess
import urllib.parse

from harness import Host, Skipped, at_end, check, clean_environment, equal, folder, main, wait_for

CONFIG = """<yandex>
<logger><level>warning</level><log>{at}/log</log><errorlog>{at}/errors</errorlog></logger>
<http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><listen_host>127.0.0.1</listen_host>
<path>{at}/data/</path><tmp_path>{at}/tmp/</tmp_path><mark_cache_size>16777216</mark_cache_size>
<users_config>{at}/users.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
</yandex>
"""
USERS = """<yandex><profiles><default/></profiles><quotas><default/></quotas><users>
<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
<penstock><password>right</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></penstock>
</users></yandex>
"""
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: out, version: 1.0.0}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: true
      properties:
        time: {{type: string, format: date-time}}
        device: {{type: string}}
        value: {{type: number}}
        on: {{type: boolean}}
        n: {{type: integer}}
        day: {{type: string, format: date}}
    time: time
    entity: [device]
    unique: [device, time]
    accept: {{past: any, future: any}}
sinks:
  olap:
    plugin: org.penstock.connector.clickhouse
    from: datastore:readings
    config: {{url: "http://127.0.0.1:{port}", table: readings, timeout_ms: 3000, auth: {{basic: {{user: penstock, password: click}}}}}}
    batch: {{rows: 200, every: 100ms}}
"""
TABLE = ("CREATE TABLE readings (time DateTime('UTC'), device String, value Nullable(Float64), on Nullable(UInt8), n Nullable(Int64),"
         " day Nullable(Date), _extra Nullable(String), _seq UInt64) ENGINE = ReplacingMergeTree(_seq) ORDER BY (device, time)")


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class ClickHouse:
    def __init__(self):
        self.program = shutil.which("clickhouse-server") or shutil.which("clickhouse-server", path="/usr/sbin")
        if not self.program:
            raise Skipped("no clickhouse-server: the package clickhouse-server is not installed")
        self.at = folder("penstock-clickhouse-")
        self.port, tcp = free_ports(2)
        for name in ("data", "tmp"):
            (self.at / name).mkdir()
        (self.at / "config.xml").write_text(CONFIG.format(at=self.at, http=self.port, tcp=tcp))
        (self.at / "users.xml").write_text(USERS)
        self.process = None
        at_end(self.stop)

    def start(self):
        self.process = subprocess.Popen([self.program, f"--config-file={self.at}/config.xml"], cwd=self.at, env=clean_environment(),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("clickhouse-server", self.answers, timeout=60)
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def answers(self):
        try:
            return self.ask("SELECT 1") == "1\n"
        except OSError:
            return False

    def ask(self, query):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("POST", "/?" + urllib.parse.urlencode({"query": query}), b"", {"Content-Length": "0"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        check(answer.status == 200, f"ClickHouse: {query}", text)
        return text

    def rows(self):
        """As a reader sees them: of rows with one key the newest."""
        text = self.ask("SELECT * FROM readings FINAL ORDER BY device, time FORMAT JSONEachRow")
        return [json.loads(line) for line in text.splitlines()]


def started(server, password="right"):
    host = Host().start()
    path = host.folder / "out.yaml"
    path.write_text(TEMPLATE.format(port=server.port))
    host.apply(path)
    host.workspace("one", "out")
    host.cli("secret", "set", "click", "-w", "one", stdin=password)
    return host


def reading(second, value=None, device="d", **more):
    return {"time": "2026-01-01T%02d:%02d:%02d.250Z" % (second // 3600, second // 60 % 60, second % 60), "device": device,
            "value": second if value is None else value, **more}


def sink_of(host):
    return host.api("GET", "/workspaces/one/sinks/olap").json


def rows_arrive_as_they_are():
    server = ClickHouse().start()
    host = started(server)
    host.ingest("one", "readings", [reading(0, on=True, n=-5, day="2026-02-28", colour="grün\t\"x\"\\"), {"time": "2026-01-01T00:00:01Z",
                                                                                                     "device": "d\n'"}])
    wait_for("the reason is told", lambda: "there is no table default.readings" in (sink_of(host)["error"] or ""), timeout=20)
    equal(sink_of(host)["state"], "needs_you", "what the state is without a table")
    server.ask(TABLE)
    host.cli("sink", "resume", "olap", "-w", "one")
    first, second = wait_for("two rows", lambda: len(r := server.rows()) == 2 and r)
    equal({k: first[k] for k in ("time", "device", "value", "on", "n", "day")},
          {"time": "2026-01-01 00:00:00", "device": "d", "value": 0, "on": 1, "n": "-5", "day": "2026-02-28"}, "the first row")
    equal(json.loads(first["_extra"]), {"colour": "grün\t\"x\"\\"}, "what was added")
    equal((second["device"], second["value"], second["on"]), ("d\n'", None, None), "what was not given is null")
    wait_for("it is well", lambda: sink_of(host)["state"] == "ok")
    check("the far side is there" in host.cli("sink", "check", "olap", "-w", "one").errors, "penstock sink check")
    server.stop()
    check(host.cli("sink", "check", "olap", "-w", "one", code=None).returncode != 0, "a server that is away is noticed")
    host.stop()


def nothing_is_lost_or_there_twice():
    server = ClickHouse().start()
    server.ask(TABLE)
    host = started(server)
    for first in range(0, 1000, 100):
        host.ingest("one", "readings", [reading(n) for n in range(first, first + 100)])
        if first == 300:
            server.stop()
        if first == 500:
            wait_for("it is down", lambda: sink_of(host)["state"] == "down", timeout=20)
            server.start()
        if first == 700:
            host.kill()
            host.start()
    host.ingest("one", "readings", [reading(n, value=-1) for n in range(50)])
    wait_for("every row as it is now", lambda: [r["value"] for r in server.rows()] == [-1.0] * 50 + [float(n) for n in range(50, 1000)],
             timeout=60)
    host.stop()


def what_it_does_not_take():
    server = ClickHouse().start()
    server.ask(TABLE.replace("value Nullable(Float64)", "value UInt8"))
    host = started(server, password="wrong")
    host.ingest("one", "readings", [reading(n, value=n) for n in range(20)])
    wait_for("it says that the password is wrong", lambda: sink_of(host)["state"] == "needs_you", timeout=20)
    host.cli("secret", "set", "click", "-w", "one", stdin="right")
    wait_for("with the right one it goes on", lambda: len(server.rows()) == 20)
    host.ingest("one", "readings", [reading(n, value=0.5 if n in (31, 44) else n) for n in range(20, 60)])
    wait_for("the others", lambda: len(server.rows()) == 58)
    wait_for("the two are dead letters", lambda: sink_of(host)["refused"] == 2)
    letters = host.cli_json("deadletter", "list", "-w", "one")
    letters = letters["items"] if isinstance(letters, dict) else letters
    check(all("ClickHouse at" in letter["detail"] and letter["store"] == "sink:olap" for letter in letters), "in its words", letters)
    host.stop()


main(rows_arrive_as_they_are, nothing_is_lost_or_there_twice, what_it_does_not_take)
