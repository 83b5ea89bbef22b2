"""The main job, end to end, on real input. Recordings of a water rig (each file a device of its own) go into two workspaces
of one template: through the csv connector, and over HTTP, shuffled, some rows twice. Both must hold the same rows, the
same features and the same scores, the features those that a few lines of Python compute, the metric what plain
SQL says; the fault in one recording is told once, and its end once, by mail and over HTTP."""
import csv
import datetime
import hashlib
import json
import math
import os
import random
import statistics

import harness
from harness import check, equal, say, wait_for

SENSORS = {"accelerometer1": "Accelerometer1RMS", "accelerometer2": "Accelerometer2RMS", "current": "Current",
           "pressure": "Pressure", "temperature": "Temperature", "thermocouple": "Thermocouple", "voltage": "Voltage",
           "flow": "Volume Flow RateRMS"}
WATCHED = "other-7"  # its fault (rows 572 to 918) fires the alert, its end resolves it
PARTS = ((0, 560), (560, 800), (800, None))  # rows of each recording: normal running, into the fault, to the end
PROVENANCE = ("_model", "_version", "_run", "_features")
UTC = datetime.timezone.utc
HERE = harness.SOURCE / "tests" / "flow"


def seed():
    """Printed, so that a failure can be had again: PENSTOCK_TEST_SEED."""
    value = int(os.environ.get("PENSTOCK_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    say(f"seed {value}")
    return random.Random(value)


def same(got, expected, tolerance):
    if got is None or expected is None:
        return got is expected
    return math.isclose(got, expected, rel_tol=tolerance, abs_tol=0.0)


# ---- the rig ----


def recordings():
    """{device: rows in the order of the file}; a row is what is sent over HTTP."""
    root, found = harness.testdata("anomaly/skab"), {}
    for path in sorted(root.rglob("*.csv")):
        with open(path, newline="") as file:
            found["-".join(path.relative_to(root).with_suffix("").parts)] = list(csv.DictReader(file, delimiter=";"))
    check(len(found) == 18, "18 recordings", sorted(found))
    return found


def as_row(device, line):
    row = {"time": line["datetime"].replace(" ", "T") + "Z", "device": device}
    row.update((name, float(line[column])) for name, column in SENSORS.items())
    return row


def write_recording(folder, name, device, lines):
    """A recording with a column that names its device; it appears in the folder as a whole."""
    making = folder.parent / (name + ".new")
    with open(making, "w", newline="") as file:
        out = csv.DictWriter(file, ["device", *lines[0]], delimiter=";")
        out.writeheader()
        out.writerows({"device": device, **line} for line in lines)
    making.chmod(0o644)
    making.rename(folder / (name + ".csv"))


def again(rows, dice):
    """Shuffled, one row in twenty a second time."""
    rows = rows + dice.sample(rows, len(rows) // 20)
    dice.shuffle(rows)
    return rows


def send(host, ws, rows, dice):
    """In bodies of uneven length. Those of the watched device share one: an alert on the data clock takes what is there
    when it looks, and a moment that it has passed does not come again."""
    bodies, mixed = [again([r for r in rows if r["device"] == WATCHED], dice)], \
        again([r for r in rows if r["device"] != WATCHED], dice)
    while mixed:
        n = dice.randrange(500, 3000)
        bodies.append(mixed[:n])
        mixed = mixed[n:]
    dice.shuffle(bodies)
    for body in bodies:
        verdict = host.ingest(ws, "rig_data", body)
        equal(verdict.get("rejected", 0), 0, "rejected rows")


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def bucket_of(text, width):
    at = int(time_of(text).timestamp())
    return datetime.datetime.fromtimestamp(at - at % width, UTC)


def recomputed(rows):
    """The features of rig.yaml, from the rows alone."""
    groups = {}
    for row in rows:
        groups.setdefault((bucket_of(row["time"], 10), row["device"]), []).append(row)
    out = {}
    for key, members in groups.items():
        feature = {name: statistics.fmean(m[name] for m in members) for name in SENSORS}
        flows = [m["flow"] for m in members]
        out[key] = {"n": len(members), **feature, "flow_min": min(flows), "flow_max": max(flows)}
    return out


def features_of(host, ws):
    return {(time_of(r["bucket"]), r["device"]): r for r in host.rows(ws, "featurestore:rig_10s")}


def check_features(found, expected):
    equal(len(found), len(expected), "number of feature rows")
    for key, want in expected.items():
        row = found[key]
        for name, value in want.items():
            check(same(row[name], value, 0.0 if name in ("n", "flow_min", "flow_max") else 1e-9),
                  f"feature {name} of {key}", f"expected {value!r}", f"got      {row[name]!r}")


def wait_rows(host, ws, rows):
    """Every row is in and no feature waits to be computed."""
    wid = wid_of(host, ws)
    wait_for(f"{ws} has {len(rows)} rows",
             lambda: host.sql(f"SELECT count(*) FROM datastore.rig_data_wid{wid}")[0][0] == str(len(rows)), 60)
    wait_for(f"{ws} has computed its features",
             lambda: host.sql(f"SELECT count(*) FROM penstock.dirty_wid{wid} WHERE dependant = 'featurestore:rig_10s'"
                              f" OR dependant = 'rig_10s'")[0][0] == "0", 60)


def wid_of(host, ws):
    return host.sql(f"SELECT wid FROM control.workspace WHERE key = '{ws}'", "penstock_control")[0][0]


def gold_of(host, ws):
    rows = host.rows(ws, "inferencestore:rig_anomaly")
    return [{k: v for k, v in r.items() if k not in PROVENANCE} for r in rows]


def wait_gold(host, ws, n):
    wid = wid_of(host, ws)
    wait_for(f"{ws} has {n} scores",
             lambda: host.sql(f"SELECT count(*) FROM inferencestore.rig_anomaly_wid{wid}")[0][0] == str(n), 60)


def check_equal_workspaces(host, rows):
    expected, held = recomputed(rows), {}
    for ws in ("files", "posted"):
        wait_rows(host, ws, rows)
        found = features_of(host, ws)
        check_features(found, expected)
        wait_gold(host, ws, len(expected))
        stored = host.rows(ws, "datastore:rig_data")
        equal(len(stored), len(rows), f"rows of {ws}")
        held[ws] = (stored, [found[k] for k in sorted(found)], gold_of(host, ws))
    for what, mine, other in zip(("rows", "features", "scores"), held["files"], held["posted"]):
        equal(len(mine), len(other), f"number of {what}")
        for a, b in zip(mine, other):
            check(a == b, f"the two workspaces' {what} differ", a, b)
    return held["files"][2]


PLAIN = """
SELECT f.bucket, f.device, f.n, f.flow, (SELECT max(pressure) FROM datastore.rig_data_wid{wid} d
         WHERE d.device = f.device AND d.time >= f.bucket AND d.time < f.bucket + interval '10 s'), i.score, i.anomaly
FROM featurestore.rig_10s_wid{wid} f JOIN inferencestore.rig_anomaly_wid{wid} i USING (bucket, device)
WHERE f.device = '{device}' ORDER BY 1"""


def check_metric(host, ws, device):
    """The metric over REST beside the same question asked of the tables themselves."""
    wid = wid_of(host, ws)
    answer = host.metric(ws, "rig_state", device=device)
    plain = host.sql("SET timezone = 'UTC'; SET extra_float_digits = 3;" + PLAIN.format(wid=wid, device=device))
    equal(len(answer), len(plain), "rows of the metric")
    check(len(plain) > 90, "there are rows", len(plain))
    for a, p in zip(answer, plain):
        got = [time_of(a["time"]), a["device"], a["n"], a["flow"], a["peak"], a["score"], a["anomaly"]]
        number = [None if v is None else float(v) for v in p[3:6]]
        want = [time_of(p[0]), p[1], int(p[2]), *number, None if p[6] is None else p[6] == "t"]
        equal(got, want, "a row of the metric")


def told(mail, hook, ws):
    """What both sinks heard about a workspace: [(delivery, event)] each."""
    posts = [(p["headers"]["Penstock-Delivery"], json.loads(p["body"])) for p in hook.all() if p["answered"] == 200]
    posts = [(delivery, body["event"]) for delivery, body in posts if body["workspace"] == ws]
    mails = [m["message"] for m in mail.all() if f"({ws})" in str(m["message"]["Subject"])]
    return posts, [(m["Message-ID"], "firing" if "firing" in m["Subject"] else "resolved") for m in mails]


def wait_told(mail, hook, ws, events):
    wait_for(f"{ws} told both sinks {events}",
             lambda: all([e for _, e in heard] == events for heard in told(mail, hook, ws)), 60)


def check_deliveries(host, mail, hook, ws):
    """Nothing twice, nothing open, and the ids that the sinks saw are those that the host keeps."""
    posts, mails = told(mail, hook, ws)
    for heard in (posts, mails):
        equal([event for _, event in heard], ["firing", "resolved"], f"what {ws} told")
        equal(len({delivery for delivery, _ in heard}), 2, "different delivery ids")
    kept = host.api("GET", f"/workspaces/{ws}/deliveries").json["items"]
    equal(sorted((d["notifier"], d["event"], d["state"]) for d in kept),
          sorted((n, e, "sent") for n in ("mail", "hook") for e in ("firing", "resolved")), "deliveries kept")
    equal({d["id"] for d in kept if d["notifier"] == "hook"}, {delivery for delivery, _ in posts}, "delivery ids")
    equal({mail_id(d["id"]) for d in kept if d["notifier"] == "mail"}, {id for id, _ in mails}, "Message-IDs")


def mail_id(delivery):
    """A function of the delivery id alone, so that a mail sent again is the same mail."""
    return f"<{hashlib.blake2b(delivery.encode(), digest_size=16).hexdigest()}@example.org>"


def check_retry(hook):
    """The first post was refused; the same delivery came again."""
    refused = [p for p in hook.all() if p["answered"] == 503]
    equal(len(refused), 1, "refused posts")
    same_id = [p for p in hook.all() if p["headers"]["Penstock-Delivery"] == refused[0]["headers"]["Penstock-Delivery"]]
    equal([p["answered"] for p in same_id], [503, 200], "answers to the delivery that was refused once")
    equal(json.loads(same_id[0]["body"]), json.loads(same_id[1]["body"]), "what it says")


def feed(host, folder, number, lines, dice):
    """One part of every recording, into both workspaces; returns its rows."""
    start, end = PARTS[number]
    part = {d: rows[start:end] for d, rows in lines.items() if rows[start:end]}
    for device, some in part.items():
        write_recording(folder, f"{number}-{device}", device, some)
    rows = [as_row(d, line) for d, some in part.items() for line in some]
    send(host, "posted", rows, dice)
    return rows


def rig():
    dice, lines = seed(), recordings()
    mail, hook, base = harness.MailSink(), harness.HttpSink(first=[503]), harness.folder()
    folders = {"files": base / "files", "posted": base / "posted"}
    for path in folders.values():
        path.mkdir(mode=0o755)
    host = harness.Host(files=[f"{path}@{ws}" for ws, path in folders.items()]).start()
    host.apply(HERE / "rig.yaml")
    for ws, path in folders.items():
        host.workspace(ws, "rig", folder=path, smtp_url=mail.url, hook_url=hook.url, watched=WATCHED)
    rows = feed(host, folders["files"], 0, lines, dice)
    for ws in folders:
        wait_rows(host, ws, rows)
        host.cli("model", "train", "rig_anomaly", "-w", ws)
    for number, events in ((1, ["firing"]), (2, ["firing", "resolved"])):
        rows += feed(host, folders["files"], number, lines, dice)
        scores = check_equal_workspaces(host, rows)
        for ws in folders:
            wait_told(mail, hook, ws, events)
    check(any(s["anomaly"] for s in scores) and not all(s["anomaly"] for s in scores), "scores tell rows apart")
    for ws in folders:
        check_metric(host, ws, WATCHED)
        check_metric(host, ws, "valve2-3")
        check_deliveries(host, mail, hook, ws)
    check_retry(hook)
    code, _ = host.stop()
    equal(code, 0, "exit code")


harness.main(rig)
