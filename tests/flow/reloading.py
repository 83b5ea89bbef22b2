"""Plugins of every sort in many versions, in a host whose plugin folder the test owns: what the tests of reloading share.

`versioned_<sort>_<name>.so` are built from tests/fault/plugins/versioned.c: 1, 2, 3 are good and stamp their version into
what they give; the others fail at the step that they are called after.
"""
import os
import shutil

import harness
import templates
from harness import BUILD, check, wait_for

VERSIONS = BUILD / "tests" / "plugins"
SORTS = ("source", "notifier", "metric", "model")
BAD = {"source": ("probe", "schema", "start", "configure", "crash", "open"),
       "notifier": ("probe", "schema", "start", "configure", "crash"),
       "metric": ("probe", "schema", "start", "configure", "crash", "answer"),
       "model": ("probe", "schema", "start", "configure", "crash", "answer")}


def template(pace, sleep_ms, rows, part):
    stamped = {"version": "integer"}
    return templates.template(
        "reloading", datastores={"numbers": templates.readings({"n": "integer", **stamped}, ["n", "version"])},
        featurestores={"seconds": templates.rollup("numbers", "1s", "count(*) AS value")},
        models={"judge": templates.judge(plugin_id("model"), "seconds")}, inferencestores={"judged": templates.judged(stamped)},
        metrics={"engine": {"plugin": plugin_id("metric"), "inputs": {"rows": {"sql": "SELECT n FROM datastore:numbers LIMIT 10"}}},
                 "parts": {"value": "rows", "labels": ["part"],
                           "sql": f"SELECT (n / {part})::text AS part, count(*) AS rows FROM datastore:numbers GROUP BY 1"}},
        connectors={"numbers": {"plugin": plugin_id("source"), "config": {"pace": pace, "sleep_ms": sleep_ms, "rows": rows},
                                "into": "datastore:numbers"}},
        notifiers={"teller": {"plugin": plugin_id("notifier")}},
        alerts={"arrived": templates.alert("parts", "teller", severity="info")})


def plugin_id(sort):
    return f"org.penstock.test.versioned-{sort}"


def put(folder, sort, name):
    """As an operator would: copied beside, then renamed over what is there. A file of its own each time."""
    beside = folder / ".coming"
    shutil.copyfile(VERSIONS / f"versioned_{sort}_{name}.so", beside)
    os.rename(beside, folder / f"{sort}.so")


def make_host(pace=100, sleep_ms=10, rows=0, part=20000, sorts=SORTS):
    folder = harness.folder("penstock-plugins-")
    for sort in sorts:
        put(folder, sort, "1")
    host = harness.Host(plugins=[folder])
    host.dropped = folder
    host.start()
    templates.publish(host, template(pace, sleep_ms, rows, part))
    return host


def plugin(host, sort):
    return host.api("GET", f"/plugins/{plugin_id(sort)}").json


def serves(host, sort, version, timeout=60):
    """Waits until that version is the current one and everybody runs it."""
    def settled():
        p = plugin(host, sort)
        return p["version"] == f"{version}.0.0" and all(i["current"] for i in p["instances"]) and p
    return wait_for(f"version {version} of the {sort} serves", settled, timeout)


def refused(host, sort, before, timeout=60):
    """Waits until a refusal is shown that was not there `before`."""
    def settled():
        p = plugin(host, sort)
        return p["refused"] and p["refused"] != before and p
    return wait_for(f"the {sort} is refused", settled, timeout)


def drop_good(host, sort, version):
    put(host.dropped, sort, version)
    return serves(host, sort, version)


def drop_bad(host, sort, name):
    was = plugin(host, sort)
    put(host.dropped, sort, name)
    now = refused(host, sort, was["refused"])
    check((now["version"], now["hash"]) == (was["version"], was["hash"]), f"the {sort} that served before serves on",
          was, now)
    return now


def numbers(host, wid=1):
    """Rows, different numbers, and how many there must be if none is missing."""
    row = host.sql(f"SELECT count(*), count(DISTINCT n), coalesce(max(n), -1) + 1 FROM datastore.numbers_wid{wid}")[0]
    return tuple(int(v) for v in row)


def whole(host, wid=1):
    rows, different, expected = numbers(host, wid)
    check(rows == different == expected, "every number is there once",
          f"{rows} rows, {different} different, {expected} expected")
    return rows


def newest_version(host, wid=1):
    found = host.sql(f"SELECT version FROM datastore.numbers_wid{wid} ORDER BY n DESC LIMIT 1")
    return int(found[0][0]) if found else None
