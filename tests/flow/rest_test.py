"""A workspace that stands still keeps no definition, no plan and no session; whatever comes then (rows, a question, a
schedule, a source, a request for a hook) finds it as it was."""
import json

from harness import Host, HttpSink, check, equal, main, wait_for

REST = ["--workspaces-rest", "1s"]
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: quiet, version: 1.0.0}}
parameters:
  least: {{type: string, default: "> 100"}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties: {{time: {{type: string, format: date-time}}, device: {{type: string}}, value: {{type: number}}}}
    time: time
    entity: [device]
    unique: [device, time]
    accept: {{past: any, future: any}}
featurestores:
  minutes:
    from: [datastore:readings]
    bucket: 1m
    key: [bucket, device]
    refresh: {{every: 1s}}
    sql: SELECT penstock.time_bucket(:bucket, time) AS bucket, device, count(*) AS n FROM datastore:readings GROUP BY 1, 2
metrics:
  arrived: {{value: n, sql: SELECT count(*) AS n FROM datastore:readings}}
  counted: {{value: n, sql: SELECT coalesce(sum(n), 0)::bigint AS n FROM featurestore:minutes}}
connectors:
  file:
    plugin: org.penstock.connector.csv
    config: {{path: "{folder}", follow: true}}
    format: csv
    into: datastore:readings
    paused: true
  door:
    plugin: org.penstock.connector.webhook
    config: {{check: none}}
    format: ndjson
    into: datastore:readings
notifiers:
  hook: {{plugin: org.penstock.notifier.webhook, config: {{url: "{url}"}}}}
alerts:
  many: {{metric: arrived, clock: wall, every: 5s, condition: {{fire_at: "${{least}}", clear_at: "< 0"}}, notify: [hook]}}
"""


class Stage:
    def __init__(self):
        self.sink = HttpSink()
        self.host = Host(settings=REST)
        (self.host.folder / "in").mkdir(mode=0o755)
        self.host.files.append(str(self.host.folder))
        self.host.start()
        path = self.host.folder / "quiet.yaml"
        path.write_text(TEMPLATE.format(url=self.sink.url, folder=self.host.folder / "in"))
        self.host.apply(path)

    def make(self, name, **params):
        self.host.workspace(name, "quiet", **params)
        self.rests()

    def system(self):
        return self.host.api("GET", "/system").json

    def rests(self):
        """All of them; asking the host wakes nobody."""
        wait_for("every workspace rests", lambda: (lambda s: s["workspaces_resting"] == s["workspaces"])(self.system()), 60)

    def rows(self, device, n):
        return [{"time": f"2026-01-01T00:{i // 60:02d}:{i % 60:02d}Z", "device": device, "value": i} for i in range(n)]

    def counts(self, arrived):
        """Asked behind the host's back: nothing is woken by it."""
        name = self.host.sql("SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                             " WHERE nspname = 'datastore' AND relname ~ '^readings_wid[0-9]+$' ORDER BY c.oid")[0][0]
        return int(self.host.sql(f'SELECT count(*) FROM datastore."{name}"')[0][0]) == arrived

    def sessions(self):
        return self.host.sql("SELECT usename FROM pg_stat_activity WHERE usename ~ '_wid[0-9]+$'")


def rows_and_questions_wake_it():
    stage = Stage()
    host = stage.host
    for name in ("a", "b"):
        stage.make(name, least="> 100" if name == "a" else "> 200")
    equal(stage.sessions(), [], "sessions of the workspaces' logins while they rest")
    for first in range(3):
        verdict = host.ingest("a", "readings", stage.rows(f"d{first}", 10))
        equal((verdict["stored"], verdict.get("rejected", 0)), (10, 0), "rows into a workspace that rested")
        stage.rests()
        equal(host.metric("a", "arrived"), [{"n": 10 * (first + 1)}], "a metric of a workspace that rested")
        equal(host.metric("b", "arrived"), [{"n": 0}], "the other one's")
        stage.rests()
        equal(host.metric("a", "counted"), [{"n": 10 * (first + 1)}], "features were computed before it rested")
        stage.rests()
    for path in ("", "/status", "/why-slow", "/datastores", "/connectors", "/alerts", "/metrics", "/datastores/readings/rows"):
        stage.rests()
        host.api("GET", f"/workspaces/a{path}")
    stage.rests()
    status = host.cli_json("status", "-w", "a")["workspaces"][0]
    store = next(s for s in status["stores"] if s["store"] == "featurestore:minutes")
    check("last_run" in store and "problem" not in store, "what it did before it rested is still known", store)
    bad = host.request("POST", "/api/v1/workspaces/a/datastores/nothing/rows", b"{}", type="application/x-ndjson")
    equal(bad.status, 404, "a store that is not there")
    host.api("POST", "/workspaces/a:refresh", {})
    check("cannot be woken" not in host.log(), "nothing went wrong", host.log()[-2000:])
    host.stop()


def a_schedule_wakes_it():
    """Rows that nobody told the host of: only the alert's own schedule can find them."""
    stage = Stage()
    stage.make("a", least="> 2")
    table = stage.host.sql("SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                           " WHERE nspname = 'datastore' AND relname ~ '^readings_wid[0-9]+$'")[0][0]
    stage.host.ingest("a", "readings", stage.rows("told", 1))
    stage.rests()
    equal(stage.sink.all(), [], "nothing fires yet")
    stage.host.sql(f'INSERT INTO datastore."{table}" (time, device, value, _seq, _received)'
                   f' SELECT time + i * interval \'1 second\', \'silent\', 1, _seq + i, now() FROM datastore."{table}", generate_series(1, 5) i')
    told = wait_for("the alert is told", stage.sink.all, 60)
    equal(json.loads(told[0]["body"])["event"], "firing", "what is told")
    stage.rests()
    stage.host.stop()


def a_source_and_a_hook_wake_it():
    stage = Stage()
    host = stage.host
    stage.make("a")
    path = host.api("POST", "/workspaces/a/connectors/door:rotate-hook", {}, expect=201).json["path"]
    stage.rests()
    (host.folder / "in" / "one.csv").write_text("time,device,value\n" + "".join(
        f"2026-01-02T00:00:{i:02d}Z,file,{i}\n" for i in range(20)))
    host.api("POST", "/workspaces/a/connectors/file:resume")
    wait_for("the file's rows", lambda: stage.counts(20), 60)
    host.api("POST", "/workspaces/a/connectors/file:pause")
    stage.rests()
    for n in range(2):
        body = "\n".join(json.dumps(r) for r in stage.rows(f"door{n}", 5)).encode()
        answer = host.request("POST", path, body, key="", type="application/x-ndjson")
        equal(answer.status, 200 if answer.status == 200 else 202, "a request for the hook of a workspace that rests")
        wait_for("the hook's rows", lambda: stage.counts(25 + 5 * n), 60)
        stage.rests()
    host.api("POST", "/workspaces/a/connectors/file:resume")
    with open(host.folder / "in" / "one.csv", "a") as file:
        file.write("2026-01-03T00:00:00Z,file,1\n")
    wait_for("the file goes on where it stood", lambda: stage.counts(31), 60)
    host.stop()


main(rows_and_questions_wake_it, a_schedule_wakes_it, a_source_and_a_hook_wake_it)
