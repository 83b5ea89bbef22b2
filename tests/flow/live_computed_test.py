"""A page that watches a featurestore and an inferencestore, whose rows are written anew by key: over reconnects, kills of the
host and a changed definition the last that a client heard of every key is what the table holds; an id of another cluster
gives everything; one that does not read holds up nobody."""
import datetime
import json
import os
import random
import threading
import time

import harness
import templates
from harness import check, equal, wait_for
from live_client import MINUTE, Watch

STORES = ("featurestores/minutes", "inferencestores/judged")
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
FEATURES = "SELECT coalesce(sum(n), 0) FROM featurestore.minutes_wid1"


def template(factor=1):
    model, judged = templates.anomaly("minutes")
    minutes = templates.rollup("readings", "1m", f"count(*) AS n, avg(pressure) * {factor} AS pressure_avg, max(flow) AS flow_max, max(note) AS note")
    made = templates.template("live", datastores={"readings": templates.readings({"pressure": "number", "flow": "number", "note": "string"})},
                              featurestores={"minutes": minutes}, models={"judge": model}, inferencestores={"judged": judged})
    made["metadata"]["version"] = f"1.{factor}.0"
    return made


class Feed:
    def __init__(self, host):
        seed = int(os.environ.get("PENSTOCK_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
        harness.say(f"seed {seed}")
        self.host, self.random, self.sent = host, random.Random(seed), 0

    def row(self, minute, device):
        at = START + datetime.timedelta(minutes=minute, microseconds=self.sent)
        self.sent += 1
        return {"time": at.isoformat(), "device_id": device, "pressure": self.random.uniform(1, 2), "flow": self.random.uniform(5, 6)}

    def send(self, keys):
        self.host.ingest("w", "readings", [self.row(minute, device) for minute, device in keys])

    def some(self, n=40):
        """Some buckets that are there already and some new ones."""
        self.send([(self.random.randrange(800), self.random.choice("abcd")) for _ in range(n)])

    def settle(self):
        def settled():
            return self.host.sql("SELECT count(*) FROM penstock.dirty_wid1") == [["0"]] and self.host.sql(FEATURES) == [[str(self.sent)]]
        wait_for("everything is computed", settled, MINUTE)


def path(store):
    return f"/workspaces/w/{store}/events"


def name(row):
    return row["bucket"], row["device_id"]


def held(host, store):
    """What the table holds, by key; a score with the run that wrote it."""
    layer, key = store.split("/")
    rows = host.rows("w", f"{layer[:-1]}:{key}")
    if store == STORES[1]:
        runs = host.sql("SELECT _run FROM inferencestore.judged_wid1 ORDER BY device_id, bucket")
        rows = [{**row, "_run": run} for row, (run,) in zip(rows, runs, strict=True)]
    return {name(row): row for row in rows}


def hear(watch, seen, n):
    for row in watch.rows(n):
        seen[name(row)] = {column: value for column, value in row.items() if column[0] != "_" or column == "_run"}


def hear_all(watch, seen, wanted):
    """What is missed never comes: this ends."""
    try:
        while seen != wanted:
            hear(watch, seen, 1)
    except harness.Failed:
        wrong = [(key, seen.get(key), wanted.get(key)) for key in seen.keys() | wanted.keys() if seen.get(key) != wanted.get(key)]
        raise harness.Failed(f"{len(wrong)} keys, heard and as they are: {wrong[:3]}") from None


def prepared(host):
    templates.publish(host, template())
    host.workspace("w", "live")
    feed = Feed(host)
    feed.send([(minute, "a") for minute in range(720)])
    wait_for("features", lambda: host.sql(FEATURES) == [[str(feed.sent)]], MINUTE)
    host.cli("model", "train", "judge", "-w", "w")  # marks for a model wait for its first version
    feed.settle()
    return feed


def over_reconnects_and_kills(host, feed):
    seen = {store: held(host, store) for store in STORES}  # as a page that is opened
    watches = {store: Watch(host, path(store)) for store in STORES}
    for watch in watches.values():
        equal(watch.status, 200, "the stream")
        watch.id = watch.events.get(timeout=MINUTE).get("id")
        check(watch.id, "a new stream has an id at once")
    for turn in range(6):
        feed.some()
        for store, watch in watches.items():
            hear(watch, seen[store], 1 + feed.random.randrange(10))
        for watch in watches.values():
            watch.close()
        if turn % 3 == 1:
            host.kill()
            host.start(same_port=True)
        feed.some()  # nobody watches
        if turn % 2:
            feed.settle()
        watches = {store: Watch(host, path(store), last=watch.id) for store, watch in watches.items()}
    feed.settle()
    for store, watch in watches.items():
        hear_all(watch, seen[store], held(host, store))
        watch.close()
    return seen, {store: watch.id for store, watch in watches.items()}


def a_changed_definition(host, feed, seen, ids):
    """Its rows were written before the tables changed places, some of them before the client's id: all are sent."""
    store = STORES[0]
    watch = Watch(host, path(store), last=ids[store])
    (host.folder / "live.yaml").write_text(json.dumps(template(2)))
    host.cli("template", "apply", "-f", host.folder / "live.yaml", "--yes", "--all")
    equal(watch.last_word(), "restarted", "the end of the stream")
    again = Watch(host, path(store), last=watch.id)
    feed.settle()
    wait_for("the build has ended", lambda: host.sql("SELECT count(*) FROM penstock.build") == [["0"]] or None)
    hear_all(again, seen[store], held(host, store))
    again.close()
    return again.id


def wishes(host, last):
    wanted = held(host, STORES[0])
    other = last.split("-")[0] + "-1-1"  # a dump that was restored elsewhere: transactions count from anew
    seen, watch = {}, Watch(host, path(STORES[0]), last=other)
    hear_all(watch, seen, wanted)
    watch.close()
    for query in ("after=12", "after=x-1-1", "after=1-1-", "after=1-1-1x", "columns=none", "filter%5Bnone%5D=1"):
        equal(Watch(host, f"{path(STORES[0])}?{query}").status, 400, query)
    for store in ("featurestores/none", "inferencestores/minutes"):
        equal(Watch(host, path(store)).status, 404, store)
    made = host.cli_json("key", "create", "reader", "--scope", "read:featurestore:minutes", "-w", "w")
    equal([Watch(host, path(store), key=made["key"]).status for store in STORES], [200, 403], "what a key may read")


def one_that_does_not_read(host, feed):
    idle = Watch(host, path(STORES[0]), reads=False)
    began = time.monotonic()
    for device in range(20):  # 20 MB, more than a socket takes
        host.ingest("w", "readings", [{**feed.row(minute, f"{device}"), "note": "w" * 1000} for minute in range(1000)])
    feed.settle()
    check(time.monotonic() - began < MINUTE, "rows are computed as before")
    threading.Thread(target=idle.read, daemon=True).start()
    equal(idle.last_word(), "too_slow", "why the stream ended")


def live_computed():
    host = harness.Host().start()
    feed = prepared(host)
    seen, ids = over_reconnects_and_kills(host, feed)
    last = a_changed_definition(host, feed, seen, ids)
    wishes(host, last)
    one_that_does_not_read(host, feed)


harness.main(live_computed)
