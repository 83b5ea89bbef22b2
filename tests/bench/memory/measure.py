#!/usr/bin/env python3
"""What a customer costs in memory: a host with 100 workspaces, each with one csv source, one webhook notifier and the
anomaly model, their cells all running.

Counted is what nobody else would have to hold, Pss_Anon + Pss_Shmem of smaps_rollup, summed over the host, the nursery
and the cells (PostgreSQL is not in it): first idle, then while every source's file grows by its share of 5,000 rows/s.
The share of a customer is the sum by the number of workspaces.

    measure.py [--workspaces 100] [--rate 5000] [--seconds 20]
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "flow"))
import harness  # noqa: E402
import templates  # noqa: E402
from harness import say, wait_for  # noqa: E402

BAR_MIB = 6.5
HEADER = "time,device_id,pressure,flow,temperature,status\n"
START = datetime.datetime(2026, 1, 1)


def template(hook):
    model, judged = templates.anomaly("minutes")
    return templates.template(
        "customer", parameters={"file": {"type": "string", "title": "What the source reads"}},
        datastores={"readings": templates.readings({"pressure": "number", "flow": "number", "temperature": "number",
                                                    "status": "string"})},
        featurestores={"minutes": templates.rollup("readings", "10s", "count(*) AS n, avg(pressure) AS pressure_avg, max(flow) AS flow_max",
                                                   every="10s")},
        models={"judge": model}, inferencestores={"judged": judged},
        metrics={"arrived": {"value": "n", "sql": "SELECT count(*) AS n FROM datastore:readings"}},
        connectors={"file": {"plugin": "org.penstock.connector.csv", "config": {"path": "${file}", "follow": True}, "format": "csv",
                             "into": "datastore:readings"}},
        notifiers={"hook": {"plugin": "org.penstock.notifier.webhook", "config": {"url": hook}}},
        alerts={"begun": templates.alert("arrived", "hook", every="1h", severity="info")})


def line(n):
    at = (START + datetime.timedelta(seconds=n)).isoformat(timespec="seconds")
    return f"{at}Z,pump-{n % 5},{3 + n % 17 / 10:.1f},{40 + n % 23},{20 + n % 7},ok\n"


class Files:
    """One growing file a workspace; keeps the rate until stopped."""

    def __init__(self, folder, names):
        self.files = [open(folder / f"{name}.csv", "w", buffering=1 << 16) for name in names]
        self.next, self.ending = 0, threading.Event()
        for f in self.files:
            f.write(HEADER)
        self.grow(600)

    def grow(self, rows):
        text = "".join(line(n) for n in range(self.next, self.next + rows))
        self.next += rows
        for f in self.files:
            f.write(text)
            f.flush()

    def keep_growing(self, rate):
        began, share = time.monotonic(), rate / len(self.files)
        first = self.next
        while not self.ending.wait(0.1):
            due = int((time.monotonic() - began) * share) - (self.next - first)
            self.grow(max(due, 0))


def family(pid):
    """The process and all its descendants, by what they are."""
    parents = collections.defaultdict(list)
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rsplit(")", 1)
                parents[int(stat[1].split()[1])].append((int(entry.name), stat[0].split("(", 1)[1]))
            except OSError:
                pass
    found, todo = [(pid, "penstockd")], [pid]
    while todo:
        for child, name in parents[todo.pop()]:
            if name != "postgres":
                found.append((child, name))
                todo.append(child)
    return found


def weight_kib(pid):
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    values = {l.split()[0]: int(l.split()[1]) for l in lines[1:]}
    return values.get("Pss_Anon:", 0), values.get("Pss_Shmem:", 0)


def kinds(host):
    return {i["pid"]: i["plugin"].rsplit(".", 1)[1] for i in host.api("GET", "/system").json["instances"] if i["pid"]}


def weigh(host, title, n):
    names, parts = kinds(host), collections.defaultdict(lambda: [0, 0, 0])
    for pid, name in family(host.process.pid):
        own = names.get(pid) or ("host" if pid == host.process.pid else name)
        anon, shmem = weight_kib(pid)
        part = parts[own]
        part[0], part[1], part[2] = part[0] + 1, part[1] + anon, part[2] + shmem
    total = sum(p[1] + p[2] for p in parts.values()) / 1024
    for name, (count, anon, shmem) in sorted(parts.items()):
        say(f"  {title}: {count:4} x {name:12} anon {anon / 1024:8.1f} MiB, shmem {shmem / 1024:7.1f} MiB,"
            f" each {(anon + shmem) / count:8.0f} KiB")
    verdict = "met" if total / n <= BAR_MIB else "MISSED"
    say(f"{title}: {total:.1f} MiB in all, {total / n:.2f} MiB a customer (bar {BAR_MIB}: {verdict})")


def running(host):
    return collections.Counter(kinds(host).values())


def stored(host, n):
    counts = " + ".join(f"(SELECT count(*) FROM datastore.readings_wid{i + 1})" for i in range(n))
    return int(host.sql(f"SELECT {counts}")[0][0])


def main():
    words = argparse.ArgumentParser()
    words.add_argument("--workspaces", type=int, default=100)
    words.add_argument("--rate", type=int, default=5000)
    words.add_argument("--seconds", type=float, default=20)
    given = words.parse_args()
    sys.argv[1:] = []  # the words are ours, not names of tests
    harness.main(lambda: measure(given))


def measure(given):
    n, names = given.workspaces, [f"ws{i}" for i in range(given.workspaces)]
    sink, data = harness.HttpSink(), harness.folder()
    data.chmod(0o755)
    host = harness.Host(files=[data], settings=["--networks-allow", "127.0.0.0/8,::1/128"])
    files = Files(data, names)
    host.start()
    templates.publish(host, template(sink.url))
    for name in names:
        host.workspace(name, "customer", file=data / f"{name}.csv")
    wait_for("every notifier was used", lambda: len(sink.all()) >= n, 300)
    wait_for("everything is read", lambda: stored(host, n) >= 600 * n, 300)
    for name in names:
        wait_for(f"{name} has its model", lambda: host.cli("model", "train", "judge", "-w", name, code=None).returncode == 0)
    wait_for("all cells run", lambda: sum(running(host).values()) >= 3 * n, 120)
    time.sleep(10)  # idle is what is measured
    weigh(host, "idle", n)
    before = stored(host, n)
    feeder = threading.Thread(target=files.keep_growing, args=(given.rate,), daemon=True)
    began = time.monotonic()
    feeder.start()
    time.sleep(given.seconds)
    weigh(host, f"under {given.rate} rows/s", n)
    after, took = stored(host, n), time.monotonic() - began
    files.ending.set()
    feeder.join()
    say(f"stored meanwhile: {(after - before) / took:.0f} rows/s; cells: {json.dumps(running(host))}")


if __name__ == "__main__":
    os.environ.setdefault("PENSTOCK_TEST_SECONDS", "1700")
    main()
