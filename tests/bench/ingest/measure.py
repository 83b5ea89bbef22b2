#!/usr/bin/env python3
"""Rows a second over HTTP beside the same rows by raw COPY BINARY, in turn, on one PostgreSQL.

A host of its own on a temporary state takes NDJSON from keep-alive clients (ingest_http), once answered after the rows
are stored (`stored`) and once after the journal's sync (`journal`); ingest_copy sends the same rows into a table that
was made LIKE the store's, with the same partitions and indexes, on the host's private PostgreSQL. Every round measures
each of them once; both tables are emptied before each measurement and the rows counted after it. The figure to look at
is the ratio within a round: rows a second on a shared machine move by tens of per cent from minute to minute.
CPU a row is user and system time from /proc: of the host, and of all processes of PostgreSQL.

    measure.py --programs DIR [--rounds 5] [--batches 100,1000,10000] [--clients 4] [--scale 1.0] [--only stored,raw]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "flow"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness  # noqa: E402
from usage import cpu_seconds, postgres_seconds  # noqa: E402

ROWS = {100: 100_000, 1_000: 400_000, 10_000: 600_000}
KEYED = "    unique: [device_id, time]\n    on_conflict: keep_last\n"
FEATURE = """featurestores:
  minutes:
    from: [datastore:readings]
    bucket: 10m
    key: [bucket, device_id]
    refresh: {every: 1s}
    sql: |
      SELECT penstock.time_bucket(:bucket, time) AS bucket, device_id, count(*) AS n, avg(pressure) AS pressure_avg,
             max(flow) AS flow_max
      FROM datastore:readings GROUP BY 1, 2
"""
TEMPLATE = """apiVersion: penstock/v1
kind: Template
metadata: {{key: {key}, version: 1.0.0, title: Measured}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device_id]
      additionalProperties: false
      properties:
        time:        {{type: string, format: date-time}}
        device_id:   {{type: string, minLength: 1, maxLength: 64}}
        pressure:    {{type: number, minimum: 0, maximum: 400}}
        flow:        {{type: number}}
        temperature: {{type: number}}
        status:      {{type: string, enum: [ok, warn, fault]}}
    time: time
    entity: [device_id]
{unique}    accept: {{past: any, future: 1h}}
{feature}"""


class Bench:
    def __init__(self, options):
        self.options = options
        self.host = harness.Host(settings=["--limits-rows-per-request", "1000000"]).start()
        self.postmaster, self.sockets = self.host.postmaster()
        self.first = 0

    def workspace(self, name, keyed):
        folder = harness.folder()
        (folder / "template.yaml").write_text(TEMPLATE.format(key=name, unique=KEYED if keyed else "",
                                                              feature=FEATURE if keyed else ""))
        self.host.apply(folder / "template.yaml")
        self.host.workspace(name, name)
        self.run_http(name, 100, 1000, "stored")  # makes the store and its partition
        [[self.table]] = self.host.sql("SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                                       "WHERE nspname = 'datastore' AND relname LIKE 'readings\\_wid%' AND NOT "
                                       "relispartition ORDER BY c.oid DESC LIMIT 1")
        self.wid = self.table.rsplit("wid", 1)[1]
        self.make_raw()

    def make_raw(self):
        """A table LIKE the store's, with its indexes, storage and partitions."""
        table = self.table
        [[kind]] = self.host.sql(f"SELECT relkind FROM pg_class WHERE oid = '{table}'::regclass")
        self.host.sql("DROP SCHEMA IF EXISTS raw CASCADE")
        self.host.sql("CREATE SCHEMA raw")
        self.host.sql(f"CREATE TABLE raw.rows (LIKE {table} INCLUDING ALL)" +
                      (" PARTITION BY RANGE (time)" if kind == "p" else ""))
        for number, [bound] in enumerate(self.host.sql(
                "SELECT pg_get_expr(relpartbound, oid) FROM pg_class JOIN pg_inherits ON inhrelid = oid "
                f"WHERE inhparent = '{table}'::regclass")):
            self.host.sql(f"CREATE TABLE raw.rows_{number} PARTITION OF raw.rows {bound}")

    def program(self, name, *words, environment=None):
        out = subprocess.run([str(self.options.programs / name), *[str(w) for w in words]], stdout=subprocess.PIPE,
                             timeout=600, env={**os.environ, **(environment or {})})
        harness.check(out.returncode == 0, f"{name} failed")
        return json.loads(out.stdout)

    def run_http(self, workspace, batch, rows, wait):
        target = f"/api/v1/workspaces/{workspace}/datastores/readings/rows?wait={wait}"
        return self.program("ingest_http", "--port", self.host.port, "--target", target, "--key", self.host.key,
                            "--batch", batch, "--rows", rows, "--clients", self.options.clients, "--first", self.first)

    def run_copy(self, batch, rows, connections):
        password = (self.host.state / "postgres.secret").read_text().strip()
        return self.program("ingest_copy", "--table", "raw.rows", "--batch", batch, "--rows", rows, "--first", self.first,
                            "--connections", connections,
                            environment={"PGHOST": self.sockets, "PGPORT": "5432", "PGUSER": "penstock_admin",
                                         "PGDATABASE": "penstock_data", "PGPASSWORD": password})

    def is_quiet(self):
        """No refresh of an earlier measurement is left to do."""
        return self.host.sql(f"SELECT NOT EXISTS (SELECT FROM penstock.dirty_wid{self.wid})") == [["t"]]

    def count(self, table):
        return int(self.host.sql(f"SELECT count(*) FROM {table}")[0][0])

    def one(self, what, workspace, batch, rows):
        """One measurement; adds rows_s, host_us and server_us to what the program says."""
        table = "raw.rows" if what.startswith("raw") else self.table
        harness.wait_for("the features are up to date", self.is_quiet, 120)
        self.host.sql(f"TRUNCATE {table}")
        self.host.sql("CHECKPOINT")
        self.first += rows
        before = cpu_seconds(self.host.process.pid), postgres_seconds(self.postmaster)
        if what.startswith("raw"):
            result = self.run_copy(batch, rows, 2 if what == "raw2" else 1)
        else:
            result = self.run_http(workspace, batch, rows, what)
            if what == "journal":
                began = time.monotonic()
                harness.wait_for("all rows are stored", lambda: self.count(table) == rows, 300)
                result["drained_s"] = time.monotonic() - began
        after = cpu_seconds(self.host.process.pid), postgres_seconds(self.postmaster)
        harness.equal(self.count(table), rows, f"rows in {table} ({what}, {batch} a request)")
        result.update(rows_s=rows / result["seconds"], host_us=(after[0] - before[0]) * 1e6 / rows,
                      server_us=(after[1] - before[1]) * 1e6 / rows, client_us=result["cpu_seconds"] * 1e6 / rows)
        return result

    def compare(self, workspace, batch):
        rows = max(batch, int(ROWS.get(batch, 200_000) * self.options.scale) // batch * batch)
        found = {what: [] for what in self.options.only}
        for number in range(self.options.rounds):
            order = self.options.only if number % 2 == 0 else self.options.only[::-1]
            for what in order:
                found[what].append(self.one(what, workspace, batch, rows))
        self.print(workspace, batch, rows, found)

    @staticmethod
    def print(workspace, batch, rows, found):
        middle = statistics.median
        for what, runs in found.items():
            ratio = ""
            if "raw" in found and what != "raw":
                ratios = [a["rows_s"] / b["rows_s"] for a, b in zip(runs, found["raw"])]
                ratio = f"  ratio to raw {middle(ratios):.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
            latency = f"  p50 {middle(r['p50_ms'] for r in runs):.1f} ms p99 {middle(r['p99_ms'] for r in runs):.1f} ms" \
                if "p50_ms" in runs[0] else ""
            cpu = " ".join(f"{name} {middle(r[key] for r in runs):.2f}" for name, key in
                           (("host", "host_us"), ("postgres", "server_us"), ("client", "client_us")))
            speeds = [r["rows_s"] for r in runs]
            harness.say(f"{workspace:<12} {batch:>6} rows/request  {what:<8} {middle(speeds) / 1e3:7.1f} k rows/s "
                        f"[{min(speeds) / 1e3:.1f}..{max(speeds) / 1e3:.1f}]{ratio}{latency}  CPU us/row: {cpu}"
                        f"  (n={len(runs)}, {rows} rows)")


def measure(options):
    bench = Bench(options)
    for name in options.stores:
        bench.workspace(name, keyed=name == "keyed")
        for batch in options.batches:
            bench.compare(name, batch)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="folder of ingest_http and ingest_copy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=lambda s: [int(n) for n in s.split(",")], default=[100, 1000, 10000])
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of rows")
    parser.add_argument("--only", type=lambda s: s.split(","), default=["raw", "stored", "journal", "raw2"])
    parser.add_argument("--stores", type=lambda s: s.split(","), default=["appended", "keyed"])
    options = parser.parse_args()
    sys.argv[1:] = []  # the words are ours, not names of tests

    def ingest():
        measure(options)

    harness.main(ingest)


if __name__ == "__main__":
    main()
