"""kill -9 of the host at random moments while rows come in from every side: over HTTP (several clients, acknowledged by
the journal and by the table), from a growing file and from the simulator. Afterwards no acknowledged row is missing and
none is there twice; the file and the simulator's readings are whole. Then the same with many workspaces and a steady
rate through every door: NDJSON, line protocol, InfluxDB's write route and a growing file each.

PENSTOCK_KILLS says how often (default 4), PENSTOCK_DOOR_KILLS how often with many workspaces (2), PENSTOCK_WORKSPACES how
many they are (3) and PENSTOCK_EVENTS how many rows a second they get in all (600), PENSTOCK_SEED which moments (printed),
PENSTOCK_RESTART_SECONDS how long a new host may take until the first row is acknowledged and until the first new row is in
its table (default: not judged, as with sanitizers on a busy machine; printed always).
"""
import os
import random
import threading
import time

import harness
import senders
from harness import check, equal, say, wait_for

KILLS = int(os.environ.get("PENSTOCK_KILLS", "4"))
SEED = int(os.environ.get("PENSTOCK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
RESTART_S = float(os.environ.get("PENSTOCK_RESTART_SECONDS", "0"))
LINES, LINES_FIRST = 2000, 20000  # appended to the file before each kill; there from the start
DOOR_KILLS = int(os.environ.get("PENSTOCK_DOOR_KILLS", "2"))
WORKSPACES = int(os.environ.get("PENSTOCK_WORKSPACES", "3"))
EVENTS = int(os.environ.get("PENSTOCK_EVENTS", "600"))
FILE_SHARE = 0.25  # of the rows a second; the other doors have a quarter each too
CADENCE_S, DEVICES = 1, 4

FILED = """
  filed:
    schema: *row
    time: time
    entity: [device_id]
    accept: {{past: any, future: any}}
"""
SIMULATED = """
  simulated:
    schema:
      type: object
      required: [time, device_id]
      additionalProperties: false
      properties:
        time: {{type: string, format: date-time}}
        device_id: {{type: string, maxLength: 64}}
        pressure: {{type: number}}
        flow: {{type: number}}
        status: {{type: string}}
    time: time
    entity: [device_id]
    accept: {{past: any, future: any}}
"""
READER = """
connectors:
  file:
    plugin: org.penstock.connector.csv
    config: {{path: "{file}", follow: true, poll_ms: 50}}
    format: csv
    into: datastore:filed
"""
RIG = """
  rig:
    plugin: org.penstock.connector.simulator
    config: {{scene: pump-station, seed: {seed}, devices: {devices}, cadence: {cadence}s, backfill: 6h}}
    into: datastore:simulated
"""


class File:
    """The source's file: it grows, and never has half a line."""

    def __init__(self, path):
        self.path, self.lines = path, 0
        path.write_text("time,device_id,n\n")
        path.chmod(0o644)

    def grow(self, lines):
        rows = (senders.row(n) for n in range(self.lines, self.lines + lines))
        with open(self.path, "a") as out:
            out.write("".join(f"{r['time']},{r['device_id']},{r['n']}\n" for r in rows))
        self.lines += lines


def make_host(file):
    host = harness.Host(files=[file.path.parent])
    template = host.folder / "faults.yaml"
    template.write_text(senders.TEMPLATE + (FILED + SIMULATED + READER + RIG).format(
        file=file.path, seed=SEED % 1000, cadence=CADENCE_S, devices=DEVICES))
    host.start()
    host.apply(template)
    host.workspace("ws", "faults")
    return host


def first_after(clients, moment):
    found = [t for t in (c.first_ack_after(moment) for c in clients) if t]
    return min(found) - moment if found else None


def kill_once(host, clients, dice):
    """Kills, starts again at once; how long until something was acknowledged, and until something new was stored."""
    time.sleep(dice.uniform(0.05, 1.2))  # the moment of the kill, not a synchronisation
    host.kill()
    began = time.monotonic()
    host.launch(same_port=True)
    ack = wait_for("a row is acknowledged", lambda: first_after(clients, began), 60)
    waiting = [c for c in clients if c.wait]
    row = wait_for("a new row is stored", lambda: first_after(waiting, began), 60)
    host.wait_ready()
    return ack, row


def check_file(host, file, wid=1):
    counts = host.sql(f"SELECT count(*), count(DISTINCT n), min(n), max(n) FROM datastore.filed_wid{wid}")[0]
    equal([int(c) for c in counts], [file.lines, file.lines, 0, file.lines - 1], "rows of the file, different ones, ends")


def check_sources(host, file):
    check_file(host, file)
    rigs = host.sql("SELECT device_id, count(*), count(DISTINCT time), 1 + (extract(epoch FROM max(time) - min(time)) /"
                    f" {CADENCE_S})::bigint FROM datastore.simulated_wid1 GROUP BY 1")
    equal(len(rigs), DEVICES, "devices of the simulator")
    for device, rows, different, expected in rigs:
        equal((rows, different), (expected, expected), f"readings of {device}: in all and different ones")
    say(f"file: {file.lines} rows, simulator: {sum(int(r[1]) for r in rigs)} rows, each there once")


def check_books(host, wid=1):
    balance = host.sql("SELECT sum(received), sum(stored), sum(duplicate), sum(rejected), sum(dropped)"
                       f" FROM penstock.ledger_wid{wid}")[0]
    received, *others = [int(n or 0) for n in balance]
    equal(sum(others), received, "stored + duplicate + rejected + dropped = received")


def wait_file(host, file, wid=1):
    wait_for("the file is read",
             lambda: int(host.sql(f"SELECT count(*) FROM datastore.filed_wid{wid}")[0][0]) >= file.lines, 60)


def judge_restarts(times):
    for what, values in (("first 2xx", [t[0] for t in times]), ("first newly stored row", [t[1] for t in times])):
        say(f"{what}: median {senders.percentile(values, 0.5):.2f} s, slowest {max(values):.2f} s after the start")
        check(not RESTART_S or max(values) <= RESTART_S, f"{what} within {RESTART_S} s", values)


def no_acknowledged_row_is_lost_or_doubled():
    say(f"seed {SEED}, {KILLS} kills")
    dice = random.Random(SEED)
    file = File(harness.folder() / "rows.csv")
    file.grow(LINES_FIRST)
    host = make_host(file)
    clients = [senders.Client(host, 1, "plain"), senders.Client(host, 2, "plain", wait=True, rows=20),
               senders.Client(host, 3, "plain", again=True), senders.Client(host, 4, "keyed", again=True),
               senders.Client(host, 5, "keyed", again=True, wait=True, rows=20)]
    for client in clients:
        client.start()
    times = []
    for number in range(KILLS):
        file.grow(LINES)
        times.append(kill_once(host, clients, dice))
        say(f"kill {number + 1}: first 2xx after {times[-1][0]:.2f} s, first newly stored row after {times[-1][1]:.2f} s")
    for client in clients:
        client.stop()
    wait_file(host, file)
    host.api("POST", "/workspaces/ws/connectors/rig:pause")
    wait_for("the journal is empty", lambda: senders.waiting_rows(host) == 0, 60)
    for store in ("plain", "keyed"):
        acked, lost, twice, strange = senders.losses(host, store, clients)
        say(f"{store}: {acked} rows acknowledged, {lost} lost, {twice} twice")
        check(acked > 0, f"{store}: something was acknowledged")
        equal((lost, twice, strange), (0, 0, 0), f"{store}: rows lost, twice, never sent")
    check_sources(host, file)
    check_books(host)
    judge_restarts(times)


# ---- many workspaces, every door ----


class Tenant:
    """One workspace: its file and its clients."""

    def __init__(self, number, root):
        self.name, self.wid = f"w{number}", number
        folder = root / self.name
        folder.mkdir(mode=0o755)
        self.file, self.clients = File(folder / "rows.csv"), []

    def start_clients(self, host, rate):
        common = {"workspace": self.name, "wid": self.wid, "rows": 25, "rate": rate}
        self.clients = [senders.Client(host, 1, "plain", wait=self.wid == 1, **common),
                        senders.Client(host, 2, "plain", again=True, door=senders.LINES, **common),
                        senders.Client(host, 3, "keyed", again=True, door=senders.INFLUX, **common)]
        for client in self.clients:
            client.start()


class Growth(threading.Thread):
    """Lets the files grow together, at a steady rate, until `stop`."""

    def __init__(self, files, rate):
        super().__init__(daemon=True)
        self.files, self.rate, self.ending, self.failed = files, rate, threading.Event(), None

    def run(self):
        began, done = time.monotonic(), 0
        try:
            while not self.ending.wait(0.2):
                due = int((time.monotonic() - began) * self.rate)
                for file in self.files:
                    file.grow(due - done)
                done = due
        except OSError as error:  # a thread's end must be seen by the test
            self.failed = error

    def stop(self):
        self.ending.set()
        self.join()
        if self.failed:
            raise self.failed


def make_tenants():
    root = harness.folder()
    tenants = [Tenant(number, root) for number in range(1, WORKSPACES + 1)]
    host = harness.Host(files=[f"{t.file.path.parent}@{t.name}" for t in tenants])
    template = host.folder / "doors.yaml"
    template.write_text(senders.TEMPLATE.replace("datastores:", "parameters:\n  file: {type: string}\ndatastores:", 1)
                        + (FILED + READER).format(file="${file}"))
    host.start()
    host.apply(template)
    for tenant in tenants:
        host.workspace(tenant.name, "faults", file=tenant.file.path)
    return host, tenants


def check_tenant(host, tenant):
    """(acknowledged over HTTP, lost, twice, rows of the file); what is lost or twice fails the test."""
    wait_file(host, tenant.file, tenant.wid)
    sums = [0, 0, 0]
    for store in ("plain", "keyed"):
        acked, lost, twice, strange = senders.losses(host, store, tenant.clients, tenant.wid)
        equal((lost, twice, strange), (0, 0, 0), f"{tenant.name}, {store}: rows lost, twice, never sent")
        check(acked > 0, f"{tenant.name}, {store}: something was acknowledged")
        sums = [a + b for a, b in zip(sums, (acked, lost, twice))]
    check_file(host, tenant.file, tenant.wid)
    check_books(host, tenant.wid)
    return (*sums, tenant.file.lines)


def every_door_of_many_workspaces():
    say(f"seed {SEED}, {DOOR_KILLS} kills, {WORKSPACES} workspaces, {EVENTS} rows a second offered")
    dice = random.Random(SEED)
    host, tenants = make_tenants()
    growth = Growth([t.file for t in tenants], FILE_SHARE * EVENTS / WORKSPACES)
    growth.start()
    for tenant in tenants:
        tenant.start_clients(host, (1 - FILE_SHARE) / 3 * EVENTS / WORKSPACES)
    clients = [c for t in tenants for c in t.clients]
    wait_for("every client has an acknowledgement", lambda: all(c.acks for c in clients), 60)
    began = time.monotonic()
    times = []
    for number in range(1, DOOR_KILLS + 1):
        times.append(kill_once(host, clients, dice))
        if number % 20 == 0:
            say(f"kill {number}: first 2xx after {times[-1][0]:.2f} s, first newly stored row after {times[-1][1]:.2f} s")
    seconds = time.monotonic() - began
    growth.stop()
    for client in clients:
        client.stop()
    wait_for("the journal is empty", lambda: senders.waiting_rows(host) == 0, 60)
    sums = [sum(column) for column in zip(*(check_tenant(host, t) for t in tenants))]
    say(f"kills {DOOR_KILLS} in {seconds:.0f} s: {sums[0]} rows acknowledged over HTTP and line protocol, {sums[3]} rows of"
        f" files, lost {sums[1]}, twice {sums[2]}")
    judge_restarts(times)


harness.main(no_acknowledged_row_is_lost_or_doubled, every_door_of_many_workspaces)
