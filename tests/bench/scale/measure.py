#!/usr/bin/env python3
"""What the number of workspaces costs: the same rows a second over 1, 10, 100 and 1,000 workspaces of one host, and
what a workspace costs that stands still.

Load: requests of 100 rows leave on a clock that does not wait for answers (open loop), each to the next workspace, with
`?wait=stored`; a request's time runs from when it was due until its rows are in their table. Every workspace has a keyed
store, a featurestore refreshed every minute, and an alert, and is met once before it counts. Each number of workspaces has
a host of its own: what one leaves to be done (alerts that data time has outrun) is not the next one's. CPU is user and
system time of the host and of all processes of PostgreSQL in a window of a minute, in which every workspace is refreshed
once; figures are medians of the windows, with their range. PostgreSQL's share is told apart by who took it: the service's sessions (the writers), sessions
that come and go (those of workspaces, autovacuum), the rest (checkpoints, log, the postmaster).

Idle: workspaces of the template that ships (pump-station), each with parameters of its own, get rows once, their source is
paused, and they stand still: how many relations each has (tables, indexes, TOAST), how much the host's own memory has grown
from one hundred to the next, what CPU they take, how long the first request takes then. PENSTOCK_GROUPS=idle runs it alone.

    measure.py [--steps 1,10,100,1000] [--rounds 3] [--rate 10000] [--batch 100] [--seconds 60] [--idle 400]
               [--only load,idle]

The load takes about 20 minutes, standing still 15.
"""
import argparse
import asyncio
import concurrent.futures
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "flow"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "ingest"))
import harness  # noqa: E402
from harness import say, wait_for  # noqa: E402
from host_figures import anonymous_mib, cpu_seconds, postgres_parts, postgres_seconds  # noqa: E402

P99_BAR_S, CPU_BAR, MEMORY_BAR_KIB, RELATIONS_BAR = 5.0, 2.0, 32, 24
GIVEN_BACK_S = 65
DEVICES, EPOCH = 10, 1767225600  # 2026-01-01
TEMPLATE = """apiVersion: penstock/v1
kind: Template
metadata: {key: scaled, version: 1.0.0, title: Measured}
datastores:
  readings:
    schema:
      type: object
      required: [time, device_id]
      additionalProperties: false
      properties:
        time:        {type: string, format: date-time}
        device_id:   {type: string, minLength: 1, maxLength: 64}
        pressure:    {type: number, minimum: 0, maximum: 400}
        flow:        {type: number}
        temperature: {type: number}
        status:      {type: string, enum: [ok, warn, fault]}
    time: time
    entity: [device_id]
    unique: [device_id, time]
    on_conflict: keep_last
    accept: {past: any, future: any}
featurestores:
  minutes:
    from: [datastore:readings]
    bucket: 10m
    key: [bucket, device_id]
    refresh: {every: 1m}
    sql: |
      SELECT penstock.time_bucket(:bucket, time) AS bucket, device_id, count(*) AS n, avg(pressure) AS pressure_avg,
             max(flow) AS flow_max
      FROM datastore:readings GROUP BY 1, 2
metrics:
  latest:
    value: pressure
    labels: [device_id]
    sql: |
      SELECT DISTINCT ON (device_id) device_id, pressure_avg AS pressure FROM featurestore:minutes
      ORDER BY device_id, bucket DESC
alerts:
  high:
    metric: latest
    clock: data
    condition: {fire_at: "> 390", clear_at: "< 380"}
    for: 0s
    severity: info
"""


def body(first, rows):
    """Rows that no other request has: one device after the other, ten seconds on every round."""
    lines = []
    for n in range(first, first + rows):
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH + n // DEVICES * 10))
        lines.append(f'{{"time":"{at}","device_id":"pump-{n % DEVICES}","pressure":{3 + n % 17 / 10:.1f},"flow":{40 + n % 23},'
                     f'"temperature":{20 + n % 7},"status":"ok"}}')
    return "\n".join(lines).encode()


class Client:
    """Keep-alive connections to the host, as many as are under way at once."""

    def __init__(self, port, key):
        self.port, self.key, self.idle = port, key, []

    async def post(self, path, content):
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
        writer.write((f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {self.key}\r\n"
                      f"Content-Type: application/x-ndjson\r\nContent-Length: {len(content)}\r\n\r\n").encode() + content)
        head = await reader.readuntil(b"\r\n\r\n")
        words = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
        answer = await reader.readexactly(int(words[b"content-length"]))
        self.idle.append((reader, writer))
        return int(head.split(b" ", 2)[1]), answer


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


class Load:
    def __init__(self, host, options):
        self.host, self.options = host, options
        self.sent = {}  # rows by workspace
        self.late, self.refused = [], []

    async def one(self, client, name, due):
        first = self.sent[name]
        self.sent[name] += self.options.batch
        status, answer = await client.post(f"/api/v1/workspaces/{name}/datastores/readings/rows?wait=stored",
                                           body(first, self.options.batch))
        self.late.append(time.monotonic() - due)
        if status != 200 and not (self.meeting and status == 202):
            self.refused.append((status, answer[:200]))

    async def keep(self, names, seconds):
        client, tasks = Client(self.host.port, self.host.key), []
        began, requests = time.monotonic(), int(self.options.rate * seconds / self.options.batch)
        for n in range(requests):
            due = began + n * self.options.batch / self.options.rate
            await asyncio.sleep(max(0, due - time.monotonic()))
            tasks.append(asyncio.ensure_future(self.one(client, names[n % len(names)], due)))
        await asyncio.gather(*tasks)
        for _, writer in client.idle:
            writer.close()

    def run(self, names, seconds, meeting=False):
        self.late, self.refused, self.meeting = [], [], meeting
        for name in names:
            self.sent.setdefault(name, 0)
        asyncio.run(self.keep(names, seconds))
        harness.check(not self.refused, "requests were refused", self.refused[:3], len(self.refused))


def make_workspaces(host, template, names):
    """Eight at a time, over REST; returns seconds each."""
    began = time.monotonic()

    def make(name):
        host.api("POST", "/workspaces", {"key": name, "template": template, "parameters": parameters_of(template, name)},
                 timeout=300)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, names))
    return (time.monotonic() - began) / max(1, len(names))


def parameters_of(template, name):
    return {"ops_email": f"ops@{name}.example.org"} if template == "pump-station" else {}


def used(host):
    return cpu_seconds(host.process.pid), postgres_seconds(host.postmaster()[0])


def sessions(host):
    """Sessions opened and transactions committed so far."""
    return [int(n) for n in host.sql("SELECT sum(sessions), sum(xact_commit) FROM pg_stat_database")[0]]


class Step:
    """What was measured with so many workspaces: a list a figure, one entry a round."""

    def __init__(self, workspaces):
        self.workspaces, self.late, self.rounds = workspaces, [], []

    def add(self, late, figures):
        self.late += late
        self.rounds.append(figures)

    def median(self, name):
        return statistics.median(f[name] for f in self.rounds)

    def ratio(self, first):
        """Of the CPU a row, beside that of `first`: median, least and most."""
        mine, its = [[f["cpu"] for f in s.rounds] for s in (self, first)]
        return statistics.median(mine) / statistics.median(its), min(mine) / max(its), max(mine) / min(its)


def measure_window(host, load, names, options):
    opened, before, parts, began = sessions(host), used(host), postgres_parts(host.postmaster()[0]), time.monotonic()
    load.run(names, options.seconds)
    after, took = used(host), time.monotonic() - began
    now = postgres_parts(host.postmaster()[0])
    rows = options.rate * options.seconds
    figures = {name: (b - a) * 1e6 / rows for name, a, b in zip(("host", "postgres"), before, after)}
    figures.update({name: (now[name] - parts[name]) * 1e6 / rows for name in now})
    figures.update(zip(("sessions", "transactions"), ((b - a) / took for a, b in zip(opened, sessions(host)))))
    figures.update(cpu=figures["host"] + figures["postgres"], took=took / options.seconds)
    return figures


def measure_step(host, load, names, options):
    # Everyone is met: partitions, plans, the first vacuum of what was empty. Some are late then.
    load.run(names, options.settle + 2 * len(names) * options.batch / options.rate, meeting=True)
    wait_for("the backlog is gone", lambda: host.api("GET", "/system").json["journal"]["waiting_rows"] == 0, 300)
    step = Step(len(names))
    for _ in range(options.rounds):
        figures = measure_window(host, load, names, options)
        step.add(load.late, figures)
    return step


def show_step(step, first, host, each):
    late, ratio = step.late, step.ratio(first)
    say(f"{step.workspaces:5} workspaces: stored p50 {percentile(late, 0.5) * 1e3:7.1f} ms  p99 {percentile(late, 0.99) * 1e3:7.1f}"
        f"  max {max(late) * 1e3:7.1f}   CPU us/row: host {step.median('host'):.2f}  PostgreSQL {step.median('postgres'):.2f}"
        f" (service {step.median('service'):.2f}, passing {step.median('passing'):.2f}, rest {step.median('rest'):.2f})"
        f"  of one workspace's {ratio[0]:.2f} [{ratio[1]:.2f}..{ratio[2]:.2f}]")
    say(f"      host {anonymous_mib(host.process.pid):.1f} MiB, {step.median('took'):.2f} of the time, "
        f"{step.median('sessions'):.1f} sessions/s, {step.median('transactions'):.0f} transactions/s, "
        f"workspaces made in {each * 1e3:.0f} ms each")


def measure_load(options):
    first = None
    for n in options.steps:
        host = harness.Host(settings=["--limits-connections", "10000"]).start()
        (host.folder / "scaled.yaml").write_text(TEMPLATE)
        host.apply(host.folder / "scaled.yaml")
        names = [f"ws{i}" for i in range(n)]
        each = make_workspaces(host, "scaled", names)
        step = measure_step(host, Load(host, options), names, options)
        first = first or step
        show_step(step, first, host, each)
        host.close()
    p99, ratio = percentile(step.late, 0.99), step.ratio(first)
    say(f"stored p99 at {options.steps[-1]}: {p99:.2f} s (goal {P99_BAR_S}: {'met' if p99 <= P99_BAR_S else 'MISSED'})")
    say(f"CPU at {options.steps[-1]} beside {options.steps[0]}: {ratio[0]:.2f} [{ratio[1]:.2f}..{ratio[2]:.2f}] "
        f"(goal {CPU_BAR}: {'met' if ratio[0] <= CPU_BAR else 'MISSED'})")


def relations(host):
    return int(host.sql("SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'i', 'p', 'I', 't', 'S', 'v', 'm')")[0][0])


def rows_once(n):
    now = int(time.time()) // 10 * 10
    return "\n".join(f'{{"time":"{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - i // 4 * 10))}","device_id":"pump-{i % 4}",'
                     f'"pressure":{3 + i % 17 / 10:.1f},"flow":{40 + i % 23},"status":"ok"}}' for i in range(n)).encode()


def measure_idle(options):
    """Parameters differ from workspace to workspace, as those of customers do. What each costs is the slope from one hundred to
    the next: what the host keeps anyway, and what the first ones bring with them, is in both."""
    host = harness.Host(settings=["--limits-cells", "64", "--workspaces-rest", f"{options.rest}s"]).start()
    host.apply(harness.SOURCE / "templates" / "pump-station" / "template.yaml")
    names = [f"idle{i}" for i in range(options.idle)]
    marks = []
    for n in range(options.few, options.idle + 1, options.few):
        stand(host, names[n - options.few:n])
        marks.append(weigh(host, n))
    slopes = [[(b - a) / options.few for a, b in zip(before, after)] for before, after in zip(marks, marks[1:])]
    kib, relations_each = (sorted(values) for values in zip(*slopes))
    each = statistics.median(kib), statistics.median(relations_each)
    say(f"an idle pump-station ({options.few} to {options.idle}, each fed, each with parameters of its own): {each[0]:.1f} "
        f"[{kib[0]:.1f}..{kib[-1]:.1f}] KiB of the host's memory (goal {MEMORY_BAR_KIB}: "
        f"{'met' if each[0] <= MEMORY_BAR_KIB else 'MISSED'}; all of it {marks[-1][0] / 1024:.1f} MiB), {each[1]:.1f} relations with "
        f"indexes and TOAST (goal {RELATIONS_BAR}: {'met' if each[1] <= RELATIONS_BAR else 'MISSED'})")
    cpu = used(host)
    time.sleep(options.idle_seconds)
    cpu = [(b - a) / options.idle_seconds * 1e3 / options.idle for a, b in zip(cpu, used(host))]
    say(f"an idle pump-station: CPU host {cpu[0]:.3f} ms/s, PostgreSQL {cpu[1]:.3f} ms/s")
    wake(host, names)


def stand(host, names):
    """They are made, get rows once, are read by whoever collects figures, and stand still."""
    feed(host, make(host, names))
    host.request("GET", "/metrics", admin=True)


def weigh(host, n):
    """KiB of the host and its helpers, and relations, once every workspace rests and what that freed is given back."""
    began = time.monotonic()
    wait_for("every workspace rests", lambda: host.api("GET", "/system").json["workspaces_resting"] == n or time.sleep(1), 600)
    say(f"  {n} workspaces rest after {time.monotonic() - began:.0f} s")
    kib, still = 0, time.monotonic()
    while time.monotonic() - still < GIVEN_BACK_S:  # the host gives memory back once a minute
        time.sleep(1)
        kib = anonymous_mib(host.process.pid) * 1024
    say(f"  {kib / 1024:.1f} MiB, {len(sessions_of(host))} sessions of workspaces")
    return kib, relations(host)


def sessions_of(host):
    return host.sql("SELECT 1 FROM pg_stat_activity WHERE usename ~ '_wid[0-9]+$'")


def wake(host, names):
    """The first request of a workspace that rests beside its second."""
    took = [[], []]
    for name in names[:50]:
        for times in took:
            began = time.monotonic()
            host.ingest(name, "sensor_data", rows_once(4), wait=None)
            times.append(time.monotonic() - began)
    say(f"rows into a workspace that rests: p50 {percentile(took[0], 0.5) * 1e3:.1f} ms, p99 {percentile(took[0], 0.99) * 1e3:.1f} until"
        f" durable; into one that does not: p50 {percentile(took[1], 0.5) * 1e3:.1f} ms")


def make(host, names):
    each = make_workspaces(host, "pump-station", names)
    say(f"  {len(names)} workspaces made in {each * 1e3:.0f} ms each")
    return names


def feed(host, names):
    for name in names:
        host.ingest(name, "sensor_data", rows_once(400))
        host.api("POST", f"/workspaces/{name}/connectors/rig:pause")


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--steps", type=lambda s: [int(n) for n in s.split(",")], default=[1, 10, 100, 1000])
    words.add_argument("--rate", type=int, default=10_000)
    words.add_argument("--batch", type=int, default=100)
    words.add_argument("--rounds", type=int, default=3, help="windows a step")
    words.add_argument("--seconds", type=int, default=60, help="of a window")
    words.add_argument("--settle", type=int, default=60, help="seconds of load before it counts")
    words.add_argument("--rest", type=int, default=5, help="seconds after which a workspace that stands still may rest")
    words.add_argument("--few", type=int, default=100, help="idle workspaces from one weighing to the next")
    words.add_argument("--idle", type=int, default=400)
    words.add_argument("--idle-seconds", type=int, default=60)
    words.add_argument("--only", type=lambda s: s.split(","), default=os.environ.get("PENSTOCK_GROUPS", "load,idle"))
    options = words.parse_args()
    sys.argv[1:] = []  # the words are ours, not names of tests
    parts = {"load": lambda: measure_load(options), "idle": lambda: measure_idle(options)}
    for name in parts:
        parts[name].__name__ = name
    harness.main(*[parts[name] for name in options.only])


if __name__ == "__main__":
    os.environ.setdefault("PENSTOCK_TEST_SECONDS", "3500")
    main()
