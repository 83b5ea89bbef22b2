"""A workspace that stands still keeps no definition, no plan and no session; whatever comes then (rows, a question, a
schedule, a source, a request for a hook) finds it as it was."""
import json

from harness import Host, HttpSink, check, equal, main, say, wait_for

REST = ["--workspaces-rest", "1s"]
KEPT_KIB, HEAP_KIB = 24, 64
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: quiet, version: 1.0.0}}
parameters:
  least: {{type: string, default: "> 100"}}
  every: {{type: string, format: duration, default: 5s}}
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
  counted: {{value: n, sql: SELECT sum(n)::bigint AS n FROM featurestore:minutes}}
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
  many: {{metric: arrived, clock: wall, every: "${{every}}", condition: {{fire_at: "${{least}}", clear_at: "< 0"}}, notify: [hook]}}
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

    def table(self, name):
        """Of its readings, asked behind the host's back: nothing is woken by it."""
        wid = self.host.sql(f"SELECT wid FROM control.workspace WHERE key = '{name}'", database="penstock_control")[0][0]
        return f'datastore."readings_wid{wid}"'

    def counts(self, name, arrived):
        return int(self.host.sql(f"SELECT count(*) FROM {self.table(name)}")[0][0]) == arrived

    def sessions(self):
        return self.host.sql("SELECT usename FROM pg_stat_activity WHERE usename ~ '_wid[0-9]+$'")


def rows_and_questions_wake_it(stage):
    host = stage.host
    stage.make("b", least="> 200")
    stage.make("a")
    equal(stage.sessions(), [], "sessions of the workspaces' logins while they rest")
    for n in (1, 2):
        verdict = host.ingest("a", "readings", stage.rows(f"d{n}", 10))
        equal((verdict["stored"], verdict.get("rejected", 0)), (10, 0), "rows into a workspace that rested")
        stage.rests()
        equal(host.metric("a", "counted"), [{"n": 10 * n}], "features were computed before it rested")
        equal(host.metric("b", "arrived"), [{"n": 0}], "the other one's")
    for path in ("/status", "/why-slow", "/datastores", "/connectors/door", "/metrics", "/datastores/readings/rows"):
        stage.rests()
        host.api("GET", f"/workspaces/a{path}")
    stage.rests()
    stores = host.cli_json("status", "-w", "a")["workspaces"][0]["stores"]
    store = next(s for s in stores if s["store"] == "featurestore:minutes")
    check("last_run" in store and "problem" not in store, "what it did before it rested is still known", store)


def a_schedule_wakes_it(stage):
    """Rows that nobody told the host of: only the alert's own schedule can find them."""
    host = stage.host
    stage.make("c", least="> 2")
    host.ingest("c", "readings", stage.rows("told", 1))
    stage.rests()
    equal(stage.sink.all(), [], "nothing fires yet")
    table = stage.table("c")
    host.sql(f"INSERT INTO {table} (time, device, value, _seq, _received) SELECT time + i * interval '1 second', 'silent', 1, _seq + i,"
             f" now() FROM {table}, generate_series(1, 5) i")
    told = wait_for("the alert is told", stage.sink.all, 60)
    equal(json.loads(told[0]["body"])["event"], "firing", "what is told")


def a_source_and_a_hook_wake_it(stage):
    host = stage.host
    stage.make("d")
    path = host.api("POST", "/workspaces/d/connectors/door:rotate-hook", {}, expect=201).json["path"]
    file = host.folder / "in" / "one.csv"
    file.write_text("time,device,value\n" + "".join(f"2026-01-02T00:00:{i:02d}Z,file,{i}\n" for i in range(20)))
    host.api("POST", "/workspaces/d/connectors/file:resume")
    wait_for("the file's rows", lambda: stage.counts("d", 20), 60)
    host.api("POST", "/workspaces/d/connectors/file:pause")
    for n in (1, 2):
        stage.rests()
        body = "\n".join(json.dumps(r) for r in stage.rows(f"door{n}", 5)).encode()
        answer = host.request("POST", path, body, key="", type="application/x-ndjson")
        check(answer.status in (200, 202, 204), "a request for the hook of a workspace that rests", answer)
        wait_for("the hook's rows", lambda: stage.counts("d", 20 + 5 * n), 60)
    stage.rests()
    with open(file, "a") as more:
        more.write("2026-01-03T00:00:00Z,file,1\n")
    host.api("POST", "/workspaces/d/connectors/file:resume")
    wait_for("the file goes on where it stood", lambda: stage.counts("d", 31), 60)


def keeps_little(stage):
    """What a workspace at rest weighs, counted in what is allocated, not in pages: some KiB that it must remember."""
    few, more = [f"light{i}" for i in range(3)], [f"light{i}" for i in range(3, 11)]

    def weigh(names):
        for name in names:
            stage.host.workspace(name, "quiet", least=f"> 1000{name[5:]}", every="1h")
            stage.host.ingest(name, "readings", stage.rows("d", 20))
        stage.rests()
        text = stage.host.request("GET", "/metrics", admin=True).text
        stage.rests()
        return [float(line.split()[1]) for name in ("heap", "kept") for line in text.splitlines()
                if line.startswith(f"penstock_memory_{name}_bytes ")]

    before, after = weigh(few), weigh(more)
    each = [(b - a) / len(more) / 1024 for a, b in zip(before, after)]
    say(f"a workspace at rest: {each[0]:.1f} KiB in the heap, {each[1]:.1f} kept")
    check(0 < each[1] <= KEPT_KIB, f"a workspace at rest keeps at most {KEPT_KIB} KiB", each)
    check(each[0] <= HEAP_KIB, f"a workspace at rest leaves at most {HEAP_KIB} KiB in the heap", each)


def it_wakes():
    stage = Stage()
    keeps_little(stage)
    rows_and_questions_wake_it(stage)
    a_schedule_wakes_it(stage)
    a_source_and_a_hook_wake_it(stage)
    check("cannot be woken" not in stage.host.log(), "nothing went wrong", stage.host.log()[-2000:])
    stage.host.stop()


main(it_wakes)
