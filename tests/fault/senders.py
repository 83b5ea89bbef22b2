"""Clients that send rows while something is being broken, and remember what was acknowledged.

Each client numbers its rows from a range of its own, so every row of a test is known by one number. A row is sent, then
acknowledged (2xx) or not; a client of the kind "once" never sends a number again, so a row that is there twice was
written twice; a client of the kind "again" repeats a batch until it is acknowledged, with its Idempotency-Key or into a
store with a natural key, as a careful client would. A client comes in by one of three doors: NDJSON, line protocol on
the same route, or InfluxDB's write route.
"""
import contextlib
import datetime
import http.client
import json
import threading
import time

RANGE = 10_000_000
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
START_MS = int(START.timestamp()) * 1000

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: faults, version: 1.0.0}
datastores:
  plain:
    schema: &row
      type: object
      required: [time, device_id, n]
      additionalProperties: false
      properties:
        time: {type: string, format: date-time}
        device_id: {type: string, maxLength: 64}
        n: {type: integer}
    time: time
    entity: [device_id]
    accept: {past: any, future: any}
  keyed:
    schema: *row
    time: time
    entity: [device_id]
    unique: [device_id, time]
    on_conflict: keep_last
    accept: {past: any, future: any}
"""


def row(n):
    """Row number n; a time of its own within its device."""
    at = START + datetime.timedelta(milliseconds=n // 7)
    return {"time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "device_id": f"d{n % 7}", "n": n}


def line(store, n):
    """The same row as line protocol, its time in milliseconds."""
    return f"{store},device_id=d{n % 7} n={n}i {START_MS + n // 7}"


NDJSON, LINES, INFLUX = "ndjson", "lines", "influx"  # the doors


class Client(threading.Thread):
    """Sends batches to one store until `stop`. `again`: repeats what was not acknowledged; `wait`: for stored rows;
    `rate`: so many rows a second whatever the answers take (0 = the next batch follows the answer)."""

    def __init__(self, host, number, store, again=False, wait=False, rows=50, pause=0.0, workspace="ws", wid=1,
                 door=NDJSON, rate=0):
        super().__init__(daemon=True)
        self.host, self.store, self.again, self.wait, self.rows, self.pause = host, store, again, wait, rows, pause
        self.wid, self.door, self.rate = wid, door, rate
        self.next = number * RANGE
        self.name = f"{store}{number}"
        rows_path = f"/api/v1/workspaces/{workspace}/datastores/{store}/rows"
        self.path = {NDJSON: rows_path + ("?wait=stored" if wait else ""),
                     LINES: rows_path + "?precision=ms" + ("&wait=stored" if wait else ""),
                     INFLUX: f"/api/v2/write?bucket={workspace}&precision=ms"}[door]
        self.headers = {"Authorization": f"Bearer {host.key}",
                        "Content-Type": "application/x-ndjson" if door == NDJSON else "text/plain"}
        self.acked, self.acks, self.refusals, self.failed = set(), [], [], None  # acks: (when, seconds it took)
        self.ending = threading.Event()
        self.connection = None

    def run(self):
        try:
            began, sent = time.monotonic(), 0
            while not self.ending.is_set():
                numbers = range(self.next, self.next + self.rows)
                self.next += self.rows
                while not self.send(numbers) and self.again and not self.ending.is_set():
                    self.ending.wait(0.02)
                sent += self.rows
                if self.pause or self.rate:
                    self.ending.wait(max(self.pause, began + sent / self.rate - time.monotonic() if self.rate else 0))
        except Exception as error:  # a thread's end must be seen by the test
            self.failed = error

    def send(self, numbers):
        lines = (json.dumps(row(n)) for n in numbers) if self.door == NDJSON else (line(self.store, n) for n in numbers)
        body = "\n".join(lines).encode()
        headers = dict(self.headers)
        if self.again and self.store == "plain":
            headers["Idempotency-Key"] = f"{self.name}-{numbers[0]}"
        began = time.monotonic()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=40)
            self.connection.request("POST", self.path, body, headers)
            response = self.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.forget_connection()
            self.ending.wait(0.02)
            return False
        took = time.monotonic() - began
        if 200 <= response.status < 300:
            self.acked.update(numbers)
            self.acks.append((began + took, took))
            return True
        self.refusals.append((began, response.status, text[:300]))
        self.ending.wait(0.02)
        return False

    def forget_connection(self):
        with contextlib.suppress(Exception):
            self.connection.close()
        self.connection = None

    def stop(self):
        self.ending.set()
        self.join(60)
        self.forget_connection()
        if self.failed:
            raise self.failed

    def first_ack_after(self, moment):
        return next((when for when, _ in reversed_until(self.acks, moment)), None)


def reversed_until(acks, moment):
    """The acks after `moment`, oldest first, without walking through all of them."""
    i = len(acks)
    while i and acks[i - 1][0] > moment:
        i -= 1
    return acks[i:]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def waiting_rows(host):
    return host.api("GET", "/system").json["journal"]["waiting_rows"]


def stored(host, store, wid=1):
    """Every stored row's number, as often as it is there."""
    return [int(r[0]) for r in host.sql(f"SELECT n FROM datastore.{store}_wid{wid}")]


def losses(host, store, clients, wid=1):
    """(acknowledged rows, how many of them are lost, how many rows are there twice, rows that nobody sent)."""
    there = stored(host, store, wid)
    unique = set(there)
    mine = [c for c in clients if (c.store, c.wid) == (store, wid)]
    acked = set().union(*(c.acked for c in mine)) if mine else set()
    sent = [(c.next // RANGE * RANGE, c.next) for c in mine]
    strange = sum(1 for n in unique if not any(low <= n < high for low, high in sent))
    return len(acked), len(acked - unique), len(there) - len(unique), strange
