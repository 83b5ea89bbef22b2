"""kill -9 of plugin processes in a live host: of a source while it delivers, of a model between and during its work, of a
notifier that has something to deliver. Each is started again, the others notice nothing, and nothing is lost or doubled."""
import json

import harness
import templates
from cells import kill, running
from harness import check, equal, wait_for


def template(hook):
    model, judged = templates.anomaly("minutes")
    return templates.template(
        "cells",
        datastores={"readings": templates.readings({"pressure": "number", "flow": "number", "status": "string"})},
        featurestores={"minutes": templates.rollup("readings", "1m", "count(*) AS n, avg(pressure) AS pressure_avg, max(flow) AS flow_max")},
        models={"judge": model}, inferencestores={"judged": judged},
        metrics={"arrived": {"value": "n", "labels": ["device_id"],
                             "sql": "SELECT device_id, count(*) AS n FROM datastore:readings GROUP BY 1"}},
        connectors={"rig": {"plugin": "org.penstock.connector.simulator", "into": "datastore:readings", "config": {
            "scene": "pump-station", "seed": 3, "devices": 1, "cadence": "1s", "backfill": "12h"}}},
        notifiers={"hook": {"plugin": "org.penstock.notifier.webhook", "config": {"url": hook}}},
        alerts={"enough": templates.alert("arrived", "hook", "> 43000", "< 1")})


def readings(host):
    return int(host.sql("SELECT count(*) FROM datastore.readings_wid1")[0][0])


def whole(host):
    """Every second from the first to the last reading is there once."""
    rows, different, expected = host.sql("SELECT count(*), count(DISTINCT time), 1 + extract(epoch FROM max(time) -"
                                         " min(time))::bigint FROM datastore.readings_wid1")[0]
    equal((rows, different), (expected, expected), "readings in all, different ones")


def source(host):
    kill(host, "connector:rig")
    before = readings(host)
    wait_for("the source delivers again", lambda: readings(host) > before, 60)
    killed = kill(host, "connector:rig")
    after = wait_for("it has a new process", lambda: (i := running(host, "connector:rig"))["pid"] != killed["pid"] and i, 60)
    check(after["deaths"] >= 2, "both deaths were counted", after)
    wait_for("the history is there", lambda: readings(host) > 43200, 120)
    whole(host)


def unjudged(host):
    """Features whose window of context is complete and that have no gold row."""
    return int(host.sql("SELECT count(*) FROM featurestore.minutes_wid1 f WHERE NOT EXISTS (SELECT 1 FROM"
                        " inferencestore.judged_wid1 g WHERE g.bucket = f.bucket AND g.device_id = f.device_id)")[0][0])


def model(host):
    host.api("POST", "/workspaces/ws/connectors/rig:pause")
    host.cli("model", "train", "judge", "-w", "ws")
    wait_for("features are judged", lambda: int(host.sql("SELECT count(*) FROM inferencestore.judged_wid1")[0][0]) > 0, 60)
    kill(host, "model:judge")
    host.api("POST", "/workspaces/ws/connectors/rig:resume")
    wait_for("every feature is judged", lambda: unjudged(host) == 0, 60)
    doubled = host.sql("SELECT count(*) - count(DISTINCT (bucket, device_id)) FROM inferencestore.judged_wid1")
    equal(doubled, [["0"]], "gold rows that are there twice")


def notifier(host, sink):
    wait_for("the notifier tries", sink.all, 60)
    kill(host, "notifier:hook")
    sink.answer = 200
    wait_for("the message arrives", lambda: [m for m in sink.all() if m["answered"] == 200], 60)
    names = {json.loads(m["body"]).get("delivery") or m["headers"].get("Penstock-Delivery") for m in sink.all()}
    equal(len(names), 1, "different deliveries of one event")


def cells_die_and_nothing_is_lost():
    sink = harness.HttpSink(answer=503)
    host = harness.Host()
    host.start()
    templates.publish(host, template(sink.url))
    host.workspace("ws", "cells")
    source(host)
    model(host)
    notifier(host, sink)
    whole(host)
    equal(host.process.poll(), None, "the host's exit code")


harness.main(cells_die_and_nothing_is_lost)
