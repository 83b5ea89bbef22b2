"""The host as a program: its figures as Prometheus reads them, its settings and where they come from, reloading."""
import re
import signal
import subprocess

from harness import HOST, Host, check, equal, folder, main, wait_for

LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SERIES = re.compile(rf"([a-z_:][a-z0-9_:]*)(\{{{LABEL}(?:,{LABEL})*\}})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)$")


def read_metrics(text):
    """{series: value}; fails on a line that Prometheus would refuse, a family without TYPE, a series twice."""
    kinds, found = {}, {}
    check(text.endswith("\n"), "the page ends with a line feed")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name not in kinds and kind in ("counter", "gauge", "histogram"), "one TYPE a family", line)
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = SERIES.match(line)
            check(match, "a line of the exposition format", line)
            family = match[1] if match[1] in kinds else re.sub("_(bucket|sum|count)$", "", match[1])
            check(family in kinds, "a series behind its TYPE", line)
            check(kinds[family] != "counter" or family.endswith("_total"), "counters end with _total", line)
            check(match[1] + (match[2] or "") not in found, "a series once", line)
            found[match[1] + (match[2] or "")] = float(match[3])
    return found


TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: small, version: 1.0.0, title: Small}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties: {time: {type: string, format: date-time}, device: {type: string}, value: {type: number}}
    time: time
    unique: [device, time]
    accept: {past: any, future: any}
metrics:
  all: {sql: "SELECT time, device, value FROM datastore:readings ORDER BY 1"}
connectors:
  gone: {plugin: org.penstock.connector.csv, config: {path: /nonexistent/readings.csv}, into: datastore:readings}
"""


def rows(n):
    return [{"time": f"2026-01-01T00:00:{i:02d}Z", "device": "a", "value": i} for i in range(n)]


def figures_and_limits():
    settings = ["--limits-rows-per-request", "20", "--limits-query-rows", "7", "--limits-body-bytes", "4096"]
    host = Host(settings=settings).start()
    path = host.folder / "small.yaml"
    path.write_text(TEMPLATE)
    host.apply(path)
    host.workspace("plant", "small")
    equal(host.ingest("plant", "readings", rows(20))["stored"], 20, "rows at the limit")
    host.ingest("plant", "readings", rows(5))
    equal(host.api("POST", "/workspaces/plant/datastores/readings/rows", b"\n".join(b"{}" for _ in range(21)), expect=413,
                   type="application/x-ndjson").status, 413, "rows beyond the limit")
    long = host.api("POST", "/workspaces/plant/datastores/readings/rows", b" " * 4097, expect=413, type="application/x-ndjson")
    equal(long.json["limit"], {"name": "limits.body_bytes", "value": 4096, "set_by": "platform"}, "the limit on bodies of rows")
    check("Retry-After" not in long.headers, "sending it again cannot help")
    equal(len(host.metric("plant", "all")), 7, "rows of a metric are cut at the limit")
    found = read_metrics(host.request("GET", "/metrics", admin=True, key="").text)
    settled = [found[f'penstock_writer_rows_total{{outcome="{word}"}}'] for word in ("stored", "duplicate", "dead")]
    check(sum(settled) == 25 and settled[0] >= 20 and settled[2] == 0, "rows settled", settled)
    check(found["penstock_journal_rows_total"] >= 25 and found["penstock_journal_commits_total"] >= 2, "journal", found)
    equal(found["penstock_workspaces"], 1.0, "workspaces")
    equal(found["penstock_ready"], 1.0, "ready")
    check(sum(v for k, v in found.items() if k.startswith("penstock_connectors{")) == 1, "one connector", found)
    wait_for("the connector's cell is counted", lambda: read_metrics(host.request("GET", "/metrics", admin=True).text).get(
        'penstock_plugin_cell_starts_total{plugin="org.penstock.connector.csv"}', 0) >= 1)
    check(any(k.startswith("penstock_http_request_seconds_count{") for k in found), "HTTP figures", list(found))


def settings_say_where_they_come_from():
    place = folder()
    config = place / "penstock.yaml"
    config.write_text("listen: 127.0.0.1:1234\nlog:\n  level: warn\n")

    def run(*words, **environment):
        return subprocess.run([str(HOST), "--config", str(config), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=30, env=environment)

    out = run("--describe", "--writers", "3", PENSTOCK_LOG_LEVEL="error")
    equal(out.returncode, 0, f"exit code of --describe ({out.stderr})")
    for line in ("writers = 3  (--writers)", "log.level = error  (PENSTOCK_LOG_LEVEL)", "log.format = logfmt  (default)"):
        check(line in out.stdout, line, out.stdout)
    check(re.search(r"^listen = 127.0.0.1:1234  \(.*penstock.yaml:1:9\)$", out.stdout, re.M), "place in the file", out.stdout)
    config.write_text("log:\n  levle: warn\n")
    out = run("--describe")
    check(out.returncode == 2 and "penstock.yaml:2:3" in out.stderr and "log.level" in out.stderr, "unknown key", out)


def a_bad_reload_changes_nothing():
    place = folder()
    config = place / "penstock.yaml"
    config.write_text("log: {level: info}\n")
    host = Host(settings=["--config", str(config)]).start()

    def reload(text, said):
        start = len(host.log())
        config.write_text(text)
        host.process.send_signal(signal.SIGHUP)
        wait_for(said, lambda: said in host.log()[start:])
        return host.log()[start:]

    bad = reload("log: {levle: debug}\n", "the old ones stay")
    check("penstock.yaml:1:7" in bad and "level" in bad, "place and hint of what is wrong", bad)
    equal(host.request("GET", "/readyz").status, 200, "the host goes on")
    good = reload("log: {level: debug}\nwriters: 3\n", "settings were read again")
    check("needs a restart" in good and "writers" in good, "what needs a restart is said", good)


if __name__ == "__main__":
    main(figures_and_limits, settings_say_where_they_come_from, a_bad_reload_changes_nothing)
