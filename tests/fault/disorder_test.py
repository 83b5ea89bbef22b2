"""The same rows in ever other orders: shuffled, late, in bodies of every length and format, sent again, corrected. Each run
has a device of its own and one seed that decides everything it sends; the runs go side by side into one workspace, while
its features and scores are refreshed. Corrections keep their order a key where the order of arrival decides, and come in any
order where a column does (`version`). In the end all runs have the same rows, features and scores: the rows and features
that a few lines of Python compute from what was sent, the scores of a device whose rows came once and in order.

PENSTOCK_RUNS says how many (30), PENSTOCK_SEED the seed of the first (printed; the next have the next): one run is had again
with its seed and PENSTOCK_RUNS=1.
"""
import csv
import datetime
import io
import json
import os
import queue
import random
import threading
import uuid

import harness
from harness import check, equal, say, wait_for

RUNS = int(os.environ.get("PENSTOCK_RUNS", "30"))
SEED = int(os.environ.get("PENSTOCK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
SENDERS, BUCKETS, READINGS, TRAINING = 4, 24, 3, 240  # of a device: buckets of ten minutes, readings in each
CONTENT = 7  # the seed of what is sent, the same for all runs
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
NULL, ABSENT = None, "absent"
HERE = harness.SOURCE / "tests" / "fault"


# ---- what is sent: {store: {time: [row, correction, …]}} ----


def at(minute):
    return (START + datetime.timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")


def quarter(dice):
    """Sums of these are exact in binary, whatever their order."""
    return dice.randrange(-400, 400) / 4


def content():
    dice, stores = random.Random(CONTENT), {}
    minutes = [10 * b + m for b in range(BUCKETS) for m in dice.sample(range(10), READINGS)]
    for store in ("arrived", "versioned", "first"):
        stores[store] = {at(m): [{"time": at(m), "value": NULL if dice.random() < 0.05 else quarter(dice), "rev": rev}
                                 for rev in range(dice.choice((1, 1, 2, 4)))] for m in minutes}
    # One writer owns `value`, the other `rev`; a null takes a value away again, a column that is not there leaves it.
    stores["merged"] = {(at(m), column): [{"time": at(m), column: NULL if column == "value" and dice.random() < 0.2
                                           else dice.randrange(100)} for _ in range(dice.choice((1, 2, 3)))]
                        for m in minutes for column in ("value", "rev")}
    stores["plain"] = {(at(m), k): [{"time": at(m), "value": quarter(dice), "rev": k}] for m in minutes for k in range(2)}
    return stores


def final_rows(stores):
    """{store: sorted (time, value, rev)}: what must be there, from what was sent alone."""
    out = {"arrived": [(t, rows[-1]["value"], rows[-1]["rev"]) for t, rows in stores["arrived"].items()],
           "versioned": [(t, (top := max(rows, key=lambda r: r["rev"]))["value"], top["rev"])
                         for t, rows in stores["versioned"].items()],
           "first": [(t, rows[0]["value"], rows[0]["rev"]) for t, rows in stores["first"].items()],
           "merged": [(t, stores["merged"][t, "value"][-1]["value"], stores["merged"][t, "rev"][-1]["rev"])
                      for t, column in stores["merged"] if column == "value"],
           "plain": [(t, rows[0]["value"], rows[0]["rev"]) for (t, _), rows in stores["plain"].items()]}
    return {store: sorted(rows, key=lambda r: (r[0], r[2])) for store, rows in out.items()}


def bucket_of(time, minutes):
    at_ = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return (at_ - (at_ - START) % datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def grouped(rows, minutes):
    groups = {}
    for row in rows:
        groups.setdefault(bucket_of(row[0], minutes), []).append(row)
    return sorted(groups.items())


def features(final):
    """{featurestore: sorted rows}, of one device."""
    ten = []
    for bucket, rows in grouped(final["arrived"], 10):
        values = [v for _, v, _ in rows if v is not None] or [None]
        total = None if values == [None] else sum(values)
        ten.append((bucket, len(rows), total, None if total is None else total / len(values),
                    None if total is None else min(values), None if total is None else max(values)))
    hour = []
    for bucket, rows in grouped(ten, 60):
        totals, tops = [r[2] for r in rows if r[2] is not None], [r[5] for r in rows if r[5] is not None]
        hour.append((bucket, sum(r[1] for r in rows), sum(totals) if totals else None, max(tops) if tops else None))
    revisions = [(bucket, len(rows), sum(r[2] for r in rows), max((r[1] for r in rows if r[1] is not None), default=None))
                 for bucket, rows in grouped(final["versioned"], 10)]
    return {"by_ten": ten, "by_hour": hour, "revisions": revisions}


# ---- how it is sent ----


def in_order_a_key(stores, dice):
    """All rows of a store, those of one key in their order."""
    left = {key: list(rows) for key, rows in stores.items()}
    turns = [key for key, rows in left.items() for _ in rows]
    dice.shuffle(turns)
    return [left[key].pop(0) for key in turns]


def cut(rows, dice):
    bodies = []
    while rows:
        n = min(dice.choice((1, 3, 10, 40, 100)), len(rows))
        bodies.append(rows[:n])
        rows = rows[n:]
    return bodies


def encode(store, device, rows, dice):
    """(body, type); CSV and line protocol where every row has the same columns."""
    rows = [{**row, "device": device} for row in rows]
    form = dice.choice(("ndjson", "json", "csv", "lines")) if store != "merged" else "ndjson"
    if form == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, ["time", "device", "value", "rev"])
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue(), "text/csv"
    if form == "lines" and all(row["value"] is not None for row in rows):
        return "\n".join(f"{store},device={device} value={row['value']},rev={row['rev']}i {seconds(row['time'])}"
                         for row in rows), "text/plain"
    if form == "json":
        return json.dumps(rows), "application/json"
    return "\n".join(map(json.dumps, rows)), "application/x-ndjson"


def seconds(time):
    return int(datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp())


def requests_of(store, rows, device, dice):
    """[(store, body, type, idempotency key or None)] of a run in their order. What arrives later wins in `arrived` and
    `merged`, so a body is repeated there only before the next; elsewhere any earlier one comes again at any time."""
    mixed = in_order_a_key(rows, dice)
    if store == "versioned":
        dice.shuffle(mixed)
    out = []
    for body in cut(mixed, dice):
        key = str(uuid.UUID(int=dice.getrandbits(128))) if store == "plain" else None
        made = (store, *encode(store, device, body, dice), key)
        out.append(made)
        if dice.random() < 0.3:
            out.append(made if store in ("arrived", "merged") else dice.choice(out))
        if dice.random() < 0.05:
            out.append((store, "[]", "application/json", None))
    return out


def interleaved(lists, dice):
    """The requests of the stores among one another, each store's in their order."""
    turns = [i for i, some in enumerate(lists) for _ in some]
    dice.shuffle(turns)
    left = [iter(some) for some in lists]
    return [next(left[i]) for i in turns]


def send(host, requests):
    for store, body, kind, key in requests:
        answer = host.request("POST", f"/api/v1/workspaces/ws/datastores/{store}/rows?precision=s", body.encode(), type=kind,
                              headers={"Idempotency-Key": key} if key else None)
        check(answer.status == 202 and not answer.json["rejected"], f"{store}: rows are taken", answer, body)


def run(host, stores, seed):
    dice = random.Random(seed)
    device = f"run-{seed}"
    send(host, interleaved([requests_of(store, rows, device, dice) for store, rows in stores.items()], dice))


def run_all(host, stores):
    """The runs, some at a time."""
    waiting, failed = queue.SimpleQueue(), []
    for seed in range(SEED, SEED + RUNS):
        waiting.put(seed)

    def work():
        try:
            while not failed:
                run(host, stores, waiting.get_nowait())
        except queue.Empty:
            pass
        except Exception as error:  # a thread's end must be seen by the test
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


# ---- what is there ----

COLUMNS = {"by_ten": "bucket, n, total, mean, low, top", "by_hour": "bucket, n, total, top", "revisions": "bucket, n, revs, top",
           "judged": "bucket, score, anomaly::int, _model, _version"}


def held(host, schema, table, columns, time, order):
    """{device: [rows]}, numbers as numbers."""
    rows = host.sql("SET extra_float_digits = 3; SELECT device,"
                    f" to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), {columns}"
                    f" FROM {schema}.{table}_wid1 ORDER BY device, {order}")
    out = {}
    for device, when, *values in rows:
        out.setdefault(device, []).append((when, *(number(v) for v in values)))
    return out


def number(text):
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def wait_settled(host, devices):
    """Nothing waits in the journal, nothing is dirty, everything has its score."""
    wait_for("the journal is empty", lambda: host.api("GET", "/system").json["journal"]["waiting_rows"] == 0, 120)
    wait_for("nothing is dirty", lambda: host.sql("SELECT count(*) FROM penstock.dirty_wid1") == [["0"]], 240)
    wait_for("everything has a score", lambda: host.sql("SELECT (SELECT count(*) FROM featurestore.by_ten_wid1) ="
                                                        " (SELECT count(*) FROM inferencestore.judged_wid1)") == [["t"]], 240)
    say(f"{devices} devices are settled")


def compare(found, expected, what):
    """Every run's rows against the one list that all of them must have."""
    equal(sorted(found), sorted(f"run-{s}" for s in range(SEED, SEED + RUNS)), f"{what}: devices")
    for device, rows in sorted(found.items()):
        equal(len(rows), len(expected), f"{what} of {device}: rows")
        for got, want in zip(rows, expected):
            equal(got, want, f"{what} of {device}")


def only_runs(found):
    return {device: rows for device, rows in found.items() if device.startswith("run-")}


def check_all(host, final):
    for store, rows in final.items():
        compare(only_runs(held(host, "datastore", store, "value, rev", "time", "time, rev")), rows, store)
    for store, rows in features(final).items():
        columns = COLUMNS[store].split(", ", 1)[1]
        compare(only_runs(held(host, "featurestore", store, columns, "bucket", "bucket")), rows, store)
    columns = COLUMNS["judged"].split(", ", 1)[1]
    scores = held(host, "inferencestore", "judged", columns, "bucket", "bucket")
    check(len({row[1] for row in scores["ordered"]}) > BUCKETS // 2, "the scores tell rows apart", scores["ordered"])
    compare(only_runs(scores), scores["ordered"], "judged")


def train(host, stores):
    """On a device of its own, with more history than the runs have; and the rows that the runs end with, once and in
    order, of the device `ordered`."""
    dice = random.Random(CONTENT + 1)
    rows = [{"time": at(-10 * k), "device": "taught", "value": quarter(dice), "rev": 0} for k in range(1, TRAINING + 1)]
    host.ingest("ws", "arrived", rows)
    wait_for("features of the training rows",
             lambda: host.sql("SELECT count(*) FROM featurestore.by_ten_wid1") == [[str(TRAINING)]], 60)
    host.cli("model", "train", "judge", "-w", "ws")
    ordered = [{"time": t, "device": "ordered", "value": v, "rev": r} for t, v, r in final_rows(stores)["arrived"]]
    host.ingest("ws", "arrived", ordered)


def every_order_ends_alike():
    say(f"seed {SEED}, {RUNS} runs")
    host = harness.Host().start()
    host.apply(HERE / "disorder.yaml")
    host.workspace("ws", "disorder")
    stores = content()
    train(host, stores)
    run_all(host, stores)
    wait_settled(host, RUNS + 2)
    final = final_rows(stores)
    check_all(host, final)
    books = host.sql("SELECT sum(received), sum(stored), sum(duplicate), sum(rejected + dropped) FROM penstock.ledger_wid1")[0]
    received, stored, duplicate, other = map(int, books)
    equal((stored + duplicate, other), (received, 0), "the books")
    say(f"{RUNS} runs, {received} rows taken, {stored} of them stored, {duplicate} older or there already: rows, features and"
        " scores alike and as computed")


harness.main(every_order_ends_alike)
