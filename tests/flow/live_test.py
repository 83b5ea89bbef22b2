"""A page that watches a store: what is committed comes by itself, nothing is missed over a reconnect, who does not read
is let go without holding up the rows, permissions and limits hold."""
import threading
import time

import harness
import live_client
from harness import check, equal

HERE = harness.SOURCE / "tests" / "flow"
ROWS = "/workspaces/w/datastores/pump"


class Watch(live_client.Watch):
    def __init__(self, host, path=ROWS + "/events", **more):
        super().__init__(host, path, **more)

    def until(self, wanted):
        """Reads on until every one of these counts was there; a row may come twice."""
        seen = set()
        while not wanted <= seen:
            seen.add(self.rows(1)[0]["count"])
        return seen


def row(i, device="a"):
    return {"time": f"2026-01-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z", "device": device, "count": i}


def host_with_stores():
    host = harness.Host().start()
    host.apply(HERE / "formats.yaml")
    host.workspace("w", "formats")
    return host


def new_rows_come_and_none_is_missed(host):
    watch = Watch(host)
    equal(watch.status, 200, "the stream")
    equal(watch.response.headers["Content-Type"], "text/event-stream", "Content-Type")
    host.ingest("w", "pump", [row(1), row(2, "b")])
    first = watch.rows(2)
    equal({(r["device"], r["count"]) for r in first}, {("a", 1), ("b", 2)}, "rows as they are committed")
    check(all(r["_seq"] and r["_received"] and r["time"] == "2026-01-01T00:00:0%dZ" % r["count"] for r in first), "whole rows", first)
    if not watch.id:  # two shards that commit at once: neither has heard of the other yet
        host.ingest("w", "pump", [row(3)])
        watch.rows(1)
    check(watch.id, "the last event has an id", first)
    watch.close()
    host.ingest("w", "pump", [row(i, f"d{i % 7}") for i in range(10, 3000)])  # more than a page of the past
    again = Watch(host, last=watch.id)
    missed = again.until(set(range(10, 3000)))
    check(missed <= set(range(3000)), "what was committed meanwhile, and perhaps what came last", missed)
    host.ingest("w", "pump", [row(5000)])
    again.until({5000})
    again.close()


def filters(host):
    watch = Watch(host, ROWS + "/events?columns=count&filter%5Bdevice%5D=x")
    host.ingest("w", "pump", [row(1), row(2, "x"), row(3, "y"), row(4, "x")])
    found = watch.rows(2)
    equal([sorted(r) for r in found], [["_received", "_seq", "count"]] * 2, "only these columns")
    equal([r["count"] for r in found], [2, 4], "only these rows")
    watch.close()
    for query in ("columns=none", "filter%5Bnone%5D=1", "after=x"):
        equal(Watch(host, f"{ROWS}/events?{query}").status, 400, query)
    equal(Watch(host, "/workspaces/w/datastores/none/events").status, 404, "a store that is not there")


def reconnecting_under_load(host):
    """A writer without pause, a client that comes back again and again: every row at least once."""
    stop, sent = threading.Event(), []

    def feed():
        while not stop.is_set():
            rows = [row(len(sent) + i, f"e{i}") for i in range(20)]
            host.ingest("w", "pump", rows, wait="journal")
            sent.extend(rows)

    watch, seen = Watch(host), set()  # the feeder waits for the journal only
    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for _ in range(6):
            seen |= {r["count"] for r in watch.rows(150)}
            while not watch.id:  # a new watch has none until both writers were heard of
                seen |= {r["count"] for r in watch.rows(1)}
            watch.close()
            watch = Watch(host, last=watch.id)
    finally:
        stop.set()
        feeder.join()
    wanted = set(range(len(sent)))
    seen |= watch.until(wanted - seen)  # of one writer later than of the other; what is missed never comes
    watch.close()


def a_client_that_does_not_read(host):
    """One that does is not cut off by a large body; one that does not holds up nobody."""
    reader = Watch(host)
    host.ingest("w", "pump", [row(i, "r" * 200) for i in range(5000)])
    reader.until(set(range(5000)))
    reader.close()
    idle = Watch(host, reads=False)
    began, n = time.monotonic(), 0
    wide = [{**row(i), "device": "w" * 200} for i in range(2000)]
    while n < 30:
        host.ingest("w", "pump", wide, wait="journal")
        n += 1
    check(time.monotonic() - began < 30, "rows are taken as before")
    host.ingest("w", "pump", wide[:1])  # stored: so is what was sent before
    threading.Thread(target=idle.read, daemon=True).start()
    equal(idle.last_word(), "too_slow", "why the stream ended")


def limits_and_permissions(host):
    made = host.cli_json("key", "create", "reader", "--scope", "read:datastore:pump", "-w", "w")
    reader = made["key"]
    watches = [Watch(host, key=reader) for _ in range(16)]
    equal({w.status for w in watches}, {200}, "as many as one key may have")
    equal(Watch(host, key=reader).status, 429, "one more")
    equal(Watch(host).status, 200, "another key")
    equal(Watch(host, "/workspaces/w/datastores/cpu/events", key=reader).status, 403, "a store that it may not read")
    for w in watches:
        w.close()


def the_host_stops(host):
    watch = Watch(host)
    host.stop()
    equal(watch.last_word(), "stopped", "a host that stops says so")


def live():
    host = host_with_stores()
    for part in (new_rows_come_and_none_is_missed, filters, reconnecting_under_load, a_client_that_does_not_read,
                 limits_and_permissions, the_host_stops):
        began = time.monotonic()
        part(host)
        harness.say(f"  {part.__name__} ({time.monotonic() - began:.1f} s)")


harness.main(live)
