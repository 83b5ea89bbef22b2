"""Messages of QoS 1 a second that are acknowledged when durable, over one connection: the connector in a whole host, beside a
subscriber on Paho that syncs each message before it acknowledges it. Both take the same backlog from the same mosquitto, in
turn, several rounds; the ratio of each round counts. Goal: 10,000 a second."""
import argparse
import json
import os
import statistics
import subprocess
import time

import harness
import mqtt_peer
from harness import say, wait_for

TEMPLATE = harness.SOURCE / "tests" / "flow" / "mqtt.yaml"
ONE_BY_ONE = harness.BUILD / "tests" / "bench" / "mqtt" / "one_by_one"
GOAL = 10000


def messages(topic, first, count):
    return ((f"{topic}/p{n % 7}/state", json.dumps({"t": 1774720800000 + n, "n": n, "device": f"p{n % 7}"}))
            for n in range(first, first + count))


def fill(broker, topic, first, count):
    peer = mqtt_peer.Peer(broker.port, f"fill-{topic}")
    peer.publish(messages(topic, first, count))
    peer.close()


def rows(host):
    return int(host.sql("SELECT count(*) FROM datastore.appended_wid1")[0][0])


def read_rows(host):
    return host.api("GET", "/workspaces/w/connectors/all").json["rows"] or 0


def connector_round(host, broker, first, count):
    """The backlog lies at the broker while the connector pauses; from the first acknowledgement to the last."""
    host.api("POST", "/workspaces/w/connectors/all:pause")
    wait_for("it pauses", lambda: host.api("GET", "/workspaces/w/connectors/all").json["state"] == "paused")
    before = read_rows(host)
    fill(broker, "host", first, count)
    host.api("POST", "/workspaces/w/connectors/all:resume")
    wait_for("it begins", lambda: read_rows(host) > before or None, 30)
    began, had = time.monotonic(), read_rows(host)
    while read_rows(host) < before + count:
        time.sleep(0.02)
    return (before + count - had) / max(time.monotonic() - began, 1e-6), (had - before)


def library_round(broker, first, count, folder):
    process = subprocess.Popen([ONE_BY_ONE, str(broker.port), "paho/#", "one-by-one", str(count), folder / "synced"],
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    fill(broker, "paho", first, count)
    seconds = float(process.stdout.readline())
    process.wait(30)
    return (count - 1) / seconds


def measure():
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100000)
    parser.add_argument("--one-by-one", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(os.environ.get("PENSTOCK_BENCH_ARGS", "").split())
    broker = mqtt_peer.Broker("max_inflight_messages 0", "log_type error").start()
    host = harness.Host().start()
    path = host.folder / "mqtt.yaml"
    entry = {"plugin": "org.penstock.connector.mqtt", "format": "json", "into": "datastore:appended",
             "decode": {"map": {"device": "$topic[1]", "time": {"from": "t", "time": "unix_ms"}}},
             "config": {"broker": broker.url, "topics": ["host/+/state"], "in_flight": 10000}}
    path.write_text(TEMPLATE.read_text() + f"  all: {json.dumps(entry)}\n")
    host.apply(path)
    host.workspace("w", "mqtt")
    wait_for("it is connected", lambda: host.api("GET", "/workspaces/w/connectors/all").json["state"] in ("live", "ok"))
    ours, theirs, ratios = [], [], []
    for n in range(given.rounds):
        rate, missed = connector_round(host, broker, n * given.messages, given.messages)
        single = library_round(broker, n * given.one_by_one, given.one_by_one, host.folder)
        ours.append(rate)
        theirs.append(single)
        ratios.append(rate / single)
        say(f"round {n + 1}: connector {rate:,.0f}/s (timed after the first {missed}), one by one {single:,.0f}/s, ratio {rate / single:.1f}")
    wait_for("all rows are stored", lambda: rows(host) >= given.messages * given.rounds, 120)
    say(f"QoS 1, acknowledged when durable, one connection, {given.messages} messages a round: {statistics.median(ours):,.0f}/s "
        f"[{min(ours):,.0f}..{max(ours):,.0f}], goal {GOAL:,}; Paho one by one {statistics.median(theirs):,.0f}/s "
        f"[{min(theirs):,.0f}..{max(theirs):,.0f}]; ratio {statistics.median(ratios):.1f} [{min(ratios):.1f}..{max(ratios):.1f}]; "
        f"{rows(host)} rows of {given.messages * given.rounds}")


harness.main(measure)
