"""The host under measurement, its stores, the yardsticks' tables beside them, and one measurement of a variant.

A variant is a way to get the same rows into a table: `stored` and `journal` (NDJSON over HTTP, answered after the commit
or after the journal's sync), `lines` (line protocol, answered after the commit), `raw` and `raw2` (COPY BINARY on one or
two connections, single commits on 16 of them for one row), `hand` (staging and ON CONFLICT from C with everything that
the product's transaction does), `append` (the same journal records, append + fdatasync in groups of 5 ms; `at_once`: as soon as the last sync is done), `empty` (our own POST with an
empty body). Tables are emptied before each and the rows counted after it."""
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "flow"))
import harness  # noqa: E402
from host_figures import anonymous_mib, cpu_seconds, postgres_seconds  # noqa: E402

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
CONNECTIONS = {"raw": 1, "raw2": 2, "hand": 2}
SINGLE_CONNECTIONS = 16
TO_A_FILE = {"append": 5000, "at_once": 0}  # microseconds that a group gathers
OVER_HTTP = ("stored", "journal", "lines", "empty")


class Store:
    """A workspace with one store, and where its tables and the yardsticks' stand."""

    def __init__(self, stage, name, keyed):
        self.stage, self.name, self.keyed = stage, name, keyed
        folder = harness.folder()
        (folder / "template.yaml").write_text(TEMPLATE.format(key=name, unique=KEYED if keyed else "",
                                                              feature=FEATURE if keyed else ""))
        stage.host.apply(folder / "template.yaml")
        stage.host.workspace(name, name)
        stage.http(self, "stored", 100, 1000, 4)  # makes the store and its partition
        stage.first += 1000
        [[self.table]] = stage.host.sql(
            "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'datastore' "
            "AND relname LIKE 'readings\\_wid%' AND NOT relispartition ORDER BY c.oid DESC LIMIT 1")
        self.wid = self.table.rsplit("wid", 1)[1]
        self.yard = f"yard_wid{self.wid}"
        self._make_yard()

    def _like(self, target, table):
        """A table LIKE another, with its indexes, storage and partitions."""
        sql = self.stage.host.sql
        [[kind]] = sql(f"SELECT relkind FROM pg_class WHERE oid = '{table}'::regclass")
        sql(f"CREATE TABLE {target} (LIKE {table} INCLUDING ALL)" +
            (" PARTITION BY RANGE (time)" if kind == "p" else ""))
        for number, [bound] in enumerate(sql(
                "SELECT pg_get_expr(relpartbound, oid) FROM pg_class JOIN pg_inherits ON inhrelid = oid "
                f"WHERE inhparent = '{table}'::regclass")):
            sql(f"CREATE TABLE {target}_{number} PARTITION OF {target} {bound}")

    def _make_yard(self):
        sql = self.stage.host.sql
        sql(f"CREATE SCHEMA {self.yard}")
        self._like(f"{self.yard}.rows", self.table)
        if not self.keyed:
            return
        self._like(f"{self.yard}.dirty", f"penstock.dirty_wid{self.wid}")
        self._like(f"{self.yard}.ledger", f"penstock.ledger_wid{self.wid}")
        self._like(f"{self.yard}.position", "penstock.position")
        harness.wait_for("the featurestore has its table", lambda: sql(
            f"SELECT to_regclass('featurestore.minutes_wid{self.wid}') IS NOT NULL") == [["t"]], 60)
        self._like(f"{self.yard}.features", f"featurestore.minutes_wid{self.wid}")

    def is_quiet(self):
        """No refresh of an earlier measurement is left to do."""
        return self.stage.host.sql(f"SELECT NOT EXISTS (SELECT FROM penstock.dirty_wid{self.wid})") == [["t"]]

    def empty(self, what):
        sql = self.stage.host.sql
        if what in OVER_HTTP:
            sql(f"TRUNCATE {self.table}")
        elif what not in TO_A_FILE:
            sql(f"TRUNCATE {self.yard}.rows")
        if what == "hand":
            sql("TRUNCATE " + ", ".join(f"{self.yard}.{t}" for t in ("dirty", "ledger", "position", "features")))
        sql("CHECKPOINT")

    def count(self, what):
        table = self.table if what in OVER_HTTP else f"{self.yard}.rows"
        return int(self.stage.host.sql(f"SELECT count(*) FROM {table}")[0][0])


class Stage:
    def __init__(self, programs):
        self.programs = programs
        self.host = harness.Host(settings=["--limits-rows-per-request", "1000000"]).start()
        self.postmaster, self.sockets = self.host.postmaster()
        self.first = 0  # row that comes next: no body is sent twice
        self.stores = {}

    def store(self, name, keyed=False):
        if name not in self.stores:
            self.stores[name] = Store(self, name, keyed)
        return self.stores[name]

    # ---- the programs ----

    def _program(self, name, *words):
        password = (self.host.state / "postgres.secret").read_text().strip()
        out = subprocess.run([str(self.programs / name), *[str(w) for w in words]], stdout=subprocess.PIPE, timeout=900,
                             env={**os.environ, "PGHOST": self.sockets, "PGPORT": "5432", "PGUSER": "penstock_admin",
                                  "PGDATABASE": "penstock_data", "PGPASSWORD": password})
        harness.check(out.returncode == 0, f"{name} failed")
        return json.loads(out.stdout)

    def http(self, store, what, batch, rows, clients):
        wait = "journal" if what == "journal" else "stored"
        form = {"lines": "lp", "empty": "empty"}.get(what, "ndjson")
        target = f"/api/v1/workspaces/{store.name}/datastores/readings/rows?wait={wait}"
        return self._program("ingest_http", "--port", self.host.port, "--target", target, "--key", self.host.key,
                             "--batch", batch, "--rows", rows, "--clients", clients, "--format", form,
                             "--first", self.first)

    def _run(self, store, what, batch, rows, clients):
        if what in OVER_HTTP:
            return self.http(store, what, batch, rows, clients)
        words = ["--batch", batch, "--rows", rows, "--first", self.first]
        if what in TO_A_FILE:
            return self._program("ingest_append", "--folder", self.host.state, "--clients", clients,
                                 "--window", TO_A_FILE[what], *words)
        connections = SINGLE_CONNECTIONS if batch == 1 else CONNECTIONS[what]
        if what == "hand":
            return self._program("ingest_hand", "--schema", store.yard, "--connections", connections, *words)
        return self._program("ingest_copy", "--table", f"{store.yard}.rows", "--connections", connections, *words)

    # ---- one measurement ----

    def _seconds(self):
        return cpu_seconds(self.host.process.pid), postgres_seconds(self.postmaster)

    def _drained(self, store, what, rows):
        """Seconds until everything is stored, and until its features are up to date (their CPU belongs to the rows)."""
        began = time.monotonic()
        if what == "journal":
            harness.wait_for("all rows are stored", lambda: store.count(what) >= rows, 300)
        drained = time.monotonic() - began
        harness.wait_for("the features are up to date", store.is_quiet, 120)
        return drained

    def one(self, store, what, batch, rows, clients, keep=False):
        """Runs a variant once. Adds to what its program says: rows_s, CPU us a row of host, PostgreSQL and client,
        drained_s, and the largest anonymous memory of the host meanwhile. `keep`: the tables are not emptied."""
        harness.wait_for("the features are up to date", store.is_quiet, 120)
        if not keep:
            store.empty(what)
        there = store.count(what) if keep else 0
        self.first += rows
        before = self._seconds()
        with Watch(self.host.process.pid) as watch:
            result = self._run(store, what, batch, rows, clients)
            drained = self._drained(store, what, there + rows)
        after = self._seconds()
        harness.equal(result["bad"], 0, f"refused requests ({what}, {batch} a request)")
        if what not in TO_A_FILE:
            harness.equal(store.count(what) - there, 0 if what == "empty" else rows,
                          f"rows in the table ({what}, {batch} a request)")
        result.update(rows_s=rows / result["seconds"], drained_s=drained, anonymous_mib=watch.most,
                      host_us=(after[0] - before[0]) * 1e6 / rows, server_us=(after[1] - before[1]) * 1e6 / rows,
                      client_us=result["cpu_seconds"] * 1e6 / rows)
        return result

    def fill(self, store, rows):
        """Rows that are there before a measurement, by COPY, summarised as autovacuum would have them."""
        self._program("ingest_copy", "--table", store.table, "--connections", 2, "--batch", 10_000, "--rows", rows,
                      "--first", self.first)
        self.first += rows
        self.host.sql(f"VACUUM (ANALYZE) {store.table}")
        self.host.sql("CHECKPOINT")

    def anonymous_mib(self):
        return anonymous_mib(self.host.process.pid)


class Watch:
    """Looks at the host's anonymous memory ten times a second, while its block runs."""

    def __init__(self, pid):
        self.pid, self.most, self.done = pid, 0.0, threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        while not self.done.wait(0.1):
            self.most = max(self.most, anonymous_mib(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.most = max(self.most, anonymous_mib(self.pid))
