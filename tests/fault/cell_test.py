"""kill -9 of plugin processes in a live host: of a source while it delivers, of a model between and during its work, of a
notifier that has something to deliver. Each is started again, the others notice nothing, and nothing is lost or doubled."""
import json
import os
import signal

import harness
from harness import check, equal, say, wait_for

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: cells, version: 1.0.0}}
datastores:
  readings:
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
featurestores:
  minutes:
    from: [datastore:readings]
    bucket: 1m
    key: [bucket, device_id]
    refresh: {{every: 1s}}
    sql: |
      SELECT penstock.time_bucket(:bucket, time) AS bucket, device_id, count(*) AS n, avg(pressure) AS pressure_avg,
             max(flow) AS flow_max
      FROM datastore:readings GROUP BY 1, 2
models:
  judge:
    plugin: org.penstock.model.anomaly
    config: {{columns: [pressure_avg, flow_max]}}
    train: {{from: featurestore:minutes, window: all, every: 7d}}
    infer: {{from: featurestore:minutes, on: change, context: 8, into: inferencestore:judged}}
inferencestores:
  judged:
    key: [bucket, device_id]
    schema:
      type: object
      properties:
        bucket: {{type: string, format: date-time}}
        device_id: {{type: string}}
        score: {{type: number}}
        anomaly: {{type: boolean}}
metrics:
  arrived:
    value: n
    labels: [device_id]
    sql: SELECT device_id, count(*) AS n FROM datastore:readings GROUP BY 1
connectors:
  rig:
    plugin: org.penstock.connector.simulator
    config: {{scene: pump-station, seed: 3, devices: 1, cadence: 1s, backfill: 12h}}
    into: datastore:readings
notifiers:
  hook:
    plugin: org.penstock.notifier.webhook
    config: {{url: "{hook}"}}
alerts:
  enough:
    metric: arrived
    clock: wall
    condition: {{fire_at: "> 43000", clear_at: "< 1"}}
    for: 0s
    severity: warning
    notify: [hook]
"""


def instance(host, name):
    found = [i for i in host.api("GET", "/system").json["instances"] if i["name"] == name]
    return found[0] if found else None


def running(host, name):
    return wait_for(f"{name} runs", lambda: (i := instance(host, name)) and i["pid"] and i, 30)


def kill_cell(host, name):
    """Kills the cell of an instance that is running."""
    found = running(host, name)
    os.kill(found["pid"], signal.SIGKILL)
    say(f"{name}: process {found['pid']} was killed after {found['calls']} calls")
    return found


def readings(host):
    return int(host.sql("SELECT count(*) FROM datastore.readings_wid1")[0][0])


def whole(host):
    """Every second from the first to the last reading is there once."""
    rows, different, expected = host.sql("SELECT count(*), count(DISTINCT time), 1 + extract(epoch FROM max(time) -"
                                         " min(time))::bigint FROM datastore.readings_wid1")[0]
    equal((rows, different), (expected, expected), "readings in all, different ones")


def source(host):
    kill_cell(host, "connector:rig")
    before = readings(host)
    wait_for("the source delivers again", lambda: readings(host) > before, 60)
    killed = kill_cell(host, "connector:rig")
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
    kill_cell(host, "model:judge")
    host.api("POST", "/workspaces/ws/connectors/rig:resume")
    wait_for("every feature is judged", lambda: unjudged(host) == 0, 60)
    doubled = host.sql("SELECT count(*) - count(DISTINCT (bucket, device_id)) FROM inferencestore.judged_wid1")
    equal(doubled, [["0"]], "gold rows that are there twice")


def notifier(host, sink):
    wait_for("the notifier tries", sink.all, 60)
    kill_cell(host, "notifier:hook")
    sink.answer = 200
    wait_for("the message arrives", lambda: [m for m in sink.all() if m["answered"] == 200], 60)
    names = {json.loads(m["body"]).get("delivery") or m["headers"].get("Penstock-Delivery") for m in sink.all()}
    equal(len(names), 1, "different deliveries of one event")


def cells_die_and_nothing_is_lost():
    sink = harness.HttpSink(answer=503)
    host = harness.Host()
    template = host.folder / "cells.yaml"
    template.write_text(TEMPLATE.format(hook=sink.url))
    host.start()
    host.apply(template)
    host.workspace("ws", "cells")
    source(host)
    model(host)
    notifier(host, sink)
    whole(host)
    equal(host.process.poll(), None, "the host's exit code")


harness.main(cells_die_and_nothing_is_lost)
