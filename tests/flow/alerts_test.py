"""Alerts on data time. A metric of which the host sees that only the newest row of each label counts is asked for the rows of
a step, any other for all rows until then: both give the same history, over late rows and a kill. And looking for what is new
does not read what was there before: ten times the rows cost as many reads."""
import datetime
import json
import os
import random

import harness
import templates
from harness import HttpSink, check, equal, wait_for

DEVICES = "abc"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
NEWEST = "SELECT DISTINCT ON (device_id) device_id, v AS value FROM featurestore:minutes f {} ORDER BY device_id, f.bucket DESC"
FORMS = {"newest": "", "all": "WHERE f.v IS NOT NULL"}  # the second is not seen to be the same


def template(key, forms, url):
    alert = {"clock": "data", "condition": {"fire_at": "> 7", "clear_at": "< 4"}, "for": "2m", "notify_horizon": "off", "notify": ["hook"]}
    return templates.template(
        key, datastores={"readings": templates.readings({"v": "number"}, unique=["device_id", "time"])},
        featurestores={"minutes": templates.rollup("readings", "1m", "max(v) AS v")},
        metrics={form: {"value": "value", "labels": ["device_id"], "sql": NEWEST.format(FORMS[form])} for form in forms},
        notifiers={"hook": {"plugin": "org.penstock.notifier.webhook", "config": {"url": url}}},
        alerts={form: {"metric": form, **alert} for form in forms})


def row(minute, device, v):
    return {"time": (START + datetime.timedelta(minutes=minute)).isoformat(), "device_id": device, "v": v}


def last_minutes(host, wid):
    """Which minute each alert has come to, by alert and labels."""
    found = host.sql(f"SELECT alert, labels, last_us / 60000000 - {START.timestamp() / 60:.0f} FROM control.alert_state WHERE wid = {wid}",
                     "penstock_control")
    return {(alert, json.loads(labels)["device_id"]): int(last) for alert, labels, last in found}


def passes(host, wid, forms, minute, devices=DEVICES):
    want = {(form, device): minute for form in forms for device in devices}
    wait_for(f"alerts have come to minute {minute}", lambda: last_minutes(host, wid) == want, 60)


def histories(host):
    """{alert: its events, told or still to be told, in order for each device}"""
    told = {form: [] for form in FORMS}
    for (body,) in host.sql("SELECT message FROM control.delivery", "penstock_control"):
        event = json.loads(body)
        told[event["alert"]].append((event["labels"]["device_id"], event["at_us"], event["event"], event["value"]))
    return {form: sorted(events) for form, events in told.items()}


def the_history_is_the_same():
    seed = int(os.environ.get("PENSTOCK_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    harness.say(f"seed {seed}")
    dice, sink, host = random.Random(seed), HttpSink(), harness.Host().start()
    templates.publish(host, template("both", FORMS, sink.url))
    host.workspace("w", "both")
    level = dict.fromkeys(DEVICES, 0)

    def minutes(first, last, device):
        for minute in range(first, last):
            level[device] = level[device] if dice.random() < 0.8 else dice.choice((0, 5, 9))
            if dice.random() < 0.9 or minute >= last - 2:
                yield row(minute, device, level[device])

    for first in range(0, 240, 60):
        rows = [r for device in DEVICES for r in minutes(first, first + 60, device)]
        rows += [row(dice.randrange(first + 1), dice.choice(DEVICES), 9) for _ in range(3)]  # late ones
        dice.shuffle(rows)
        host.ingest("w", "readings", rows)
        passes(host, 1, FORMS, first + 59)
        if first == 60:
            host.kill()
            host.start()
    told = histories(host)
    equal(told["newest"], told["all"], "the events of both alerts")
    check(len(told["all"]) >= 10, "there were events", told)
    host.close()


def reads(host, wid):
    """Rows of the featurestore that were read so far; a session tells when it ends, as it does when its workspace rests."""
    wait_for("the workspace rests", lambda: host.api("GET", "/system").json["workspaces_resting"] == 1, 60)
    found = host.sql(f"SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'minutes_wid{wid}'")
    return int(found[0][0])


def what_was_there_is_not_read_again():
    sink, host = HttpSink(), harness.Host(settings=["--workspaces-rest", "1s"]).start()
    templates.publish(host, template("one", ["newest"], sink.url))
    host.workspace("w", "one")
    cost, minute = [], 0
    for fill in (300, 3000):
        for first in range(minute, fill, 1000):
            host.ingest("w", "readings", [row(m, d, 1) for m in range(first, min(first + 1000, fill)) for d in DEVICES])
        passes(host, 1, ["newest"], fill - 1)
        before = reads(host, 1)
        for minute in range(fill, fill + 3):
            host.ingest("w", "readings", [row(minute, d, 1) for d in DEVICES])
            passes(host, 1, ["newest"], minute)
        minute += 1
        cost.append(reads(host, 1) - before)
    harness.say(f"rows read for three minutes more: {cost[0]} of {300 * len(DEVICES)}, {cost[1]} of {3000 * len(DEVICES)}")
    check(0 < cost[0] < 300 * len(DEVICES), "less than the store is read", cost)
    check(cost[1] <= cost[0] + 30, "ten times the rows cost as many reads", cost)
    host.close()


harness.main(the_history_is_the_same, what_was_there_is_not_read_again)
