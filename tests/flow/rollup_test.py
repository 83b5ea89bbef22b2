"""Events with every trouble of their kind (late, out of order, repeated, corrected, empty, not finite, exactly on the edge of
a bucket, in several offsets, finer than a microsecond) come in over HTTP in parts of random size, and the
featurestore is refreshed in between: it must end up with exactly the expected rows, and still after a replay."""
import csv
import datetime
import json
import math
import os
import random

import harness
from harness import check, equal, say, wait_for

UTC = datetime.timezone.utc
HERE = harness.SOURCE / "tests" / "flow"
EXACT = ("rows", "count", "min", "max", "first", "last")


def number(text):
    """JSON has no word for what is not finite: such a value is sent as null, which is what the rules make of it."""
    if text in ("", "null"):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def events():
    with open(harness.testdata("rollup/events.csv"), newline="") as file:
        return list(csv.DictReader(file))


def expected():
    with open(harness.testdata("rollup/expected.csv"), newline="") as file:
        return {(time_of(r["bucket"]), r["series"]): r for r in csv.DictReader(file)}


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def as_csv(rows):
    """As the file has them: what is not finite is left empty."""
    lines = ["ts,series,pressure,level"]
    for r in rows:
        values = ("" if (v := number(r[m])) is None else repr(v) for m in ("pressure", "level"))
        lines.append(",".join((r["ts"], r["series"], *values)))
    return "\n".join(lines).encode()


def as_ndjson(rows):
    return "\n".join(json.dumps({"ts": r["ts"], "series": r["series"], "pressure": number(r["pressure"]),
                                 "level": number(r["level"])}) for r in rows).encode()


def send(host, rows, dice):
    """In the order of the file, or the last of two rows with one key would not be the last; in parts of random size."""
    at = 0
    while at < len(rows):
        part = rows[at:at + dice.randrange(1, 3000)]
        body, type = dice.choice(((as_csv, "text/csv"), (as_ndjson, "application/x-ndjson")))
        verdict = host.ingest("w", "events", body(part), type=type)
        equal(verdict["rejected"], 0, "rejected rows")
        at += len(part)


def settled(host):
    return host.sql("SELECT count(*) FROM penstock.dirty_wid1")[0][0] == "0"


def fits(name, got, want):
    if want == "" or got is None:
        return want == "" and got is None
    kind = name.rsplit("_", 1)[1]
    if kind in EXACT:
        return got == float(want)
    return math.isclose(got, float(want), rel_tol=1e-6 if kind == "stddev" else 1e-9)


def check_rows(host, want):
    wait_for("features are computed", lambda: settled(host), 60)
    got = {(time_of(r["bucket"]), r["series"]): r for r in host.rows("w", "featurestore:rollup_10min")}
    equal(sorted(set(want) - set(got)), [], "rows that are missing")
    equal(sorted(set(got) - set(want)), [], "rows too many")
    cells = 0
    for key, row in want.items():
        for name, value in row.items():
            if name not in ("bucket", "series"):
                check(fits(name, got[key][name], value), f"{name} of {key}", f"expected {value}", f"got {got[key][name]}")
                cells += 1
    say(f"{len(want)} rows, {cells} cells")


def rollup():
    seed = int(os.environ.get("PENSTOCK_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    say(f"seed {seed}")
    dice, rows, want = random.Random(seed), events(), expected()
    host = harness.Host().start()
    host.apply(HERE / "rollup.yaml")
    host.workspace("w", "rollup")
    send(host, rows, dice)
    check_rows(host, want)
    send(host, rows, dice)  # a replay ends with the same last rows
    check_rows(host, want)
    equal(host.stop()[0], 0, "exit code")


harness.main(rollup)
