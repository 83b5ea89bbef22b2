"""Every row goes out, in the order of _seq, whatever the far side, the host and the writers do meanwhile; and a far side that is
dead slows nothing."""
import subprocess
import time

from harness import at_end, check, equal, main, say, wait_for
from row_receiver import KEYED, Far, in_order, reading, sink_of, started

MANY = 160  # rows of a store in one commit: more than one writer takes by itself


def hold_writer(host, shard):
    """Until what is returned is called, nothing of the shard is committed."""
    lock = subprocess.Popen(["psql", "-Xq", "-c", "BEGIN", "-c", "SELECT 1 FROM penstock.position WHERE store = 'readings' AND shard = "
                             f"{shard} FOR UPDATE", "-c", "SELECT pg_sleep(60)"], env=host.psql_environment(),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at_end(lock.kill)
    wait_for("the lock", lambda: host.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"))

    def release():
        host.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
        lock.wait()
    return release


def a_row_that_is_committed_late_is_not_passed_over():
    """Two streams of a store: one writer is held while the other commits rows with higher numbers."""
    far = Far()
    host = started(far)
    host.ingest("one", "readings", [reading(0, "d%d" % n) for n in range(MANY)])
    wait_for("the first rows", lambda: len(far.rows()) == MANY)
    held = host.sql("SELECT shard FROM penstock.position WHERE store = 'readings' ORDER BY 1")[0]
    release = hold_writer(host, held[0])
    host.ingest("one", "readings", [reading(1, "d%d" % n) for n in range(MANY)], wait=None)
    before = wait_for("the other writer's rows", lambda: (n := int(host.sql(
        "SELECT count(*) FROM datastore.readings_wid1 WHERE time = '2026-01-01T00:00:01Z'")[0][0])) and n)
    check(0 < before < MANY, f"one writer is held, the other is not: {before} rows")
    host.ingest("one", "readings", [reading(2, "d%d" % n) for n in range(MANY)], wait=None)
    time.sleep(1.5)  # ten turns of the sink: what it might pass over lies between rows that are there
    equal(len(far.rows()), MANY, "what goes out while rows with lower numbers are on their way")
    release()
    wait_for("all rows", lambda: len(far.once()) == 3 * MANY)
    in_order(far)
    equal(len(far.rows()), 3 * MANY, "no row twice")
    host.stop()


def a_sink_that_is_new_begins_before_rows_that_are_on_their_way():
    """The oldest row that is committed is not the oldest: one of two writers is held, and what was there before is gone."""
    far = Far()
    host = started(far, key=KEYED, paused="true")
    host.ingest("one", "readings", [reading(0, "d%d" % n) for n in range(MANY)])
    host.sql("DELETE FROM datastore.readings_wid1")
    held = host.sql("SELECT shard FROM penstock.position WHERE store = 'readings' ORDER BY 1")[0]
    release = hold_writer(host, held[0])
    host.ingest("one", "readings", [reading(1, "d%d" % n) for n in range(MANY)], wait=None)
    wait_for("the other writer's rows", lambda: int(host.sql("SELECT count(*) FROM datastore.readings_wid1")[0][0]))
    host.cli("sink", "resume", "lake", "-w", "one")
    wait_for("it has begun", lambda: host.sql("SELECT seq FROM penstock.sink"))
    release()
    wait_for("all rows", lambda: len(far.once()) == MANY)
    in_order(far)
    host.stop()


def a_dead_sink_slows_nothing_and_loses_nothing():
    far = Far("hang")
    host = started(far, rows=500)
    took = []
    for first in range(0, 1000, 20):
        began = time.monotonic()
        host.ingest("one", "readings", [reading(n, "d%d" % (n % 4), n) for n in range(first, first + 20)])
        took.append(time.monotonic() - began)
    shown = wait_for("it is down", lambda: (s := sink_of(host))["state"] == "down" and s, timeout=20)
    check(shown["lag_seconds"] > 0 and shown["error"] and shown["delivered"] == 0, "it says why, and since when", shown)
    backlog = host.api("GET", "/workspaces/one/status").json["stores"][0]["waiting"]
    equal(backlog, 0, "the journal holds nothing for a sink")
    far.mode, far.retry_after = "down", True
    wait_for("it is told to come again", lambda: far.asked >= 1, timeout=70)
    far.mode = "ok"
    far.released.set()
    wait_for("all rows", lambda: len(far.once()) == 1000, timeout=90)
    in_order(far)
    began = []
    for first in range(1000, 2000, 20):
        at = time.monotonic()
        host.ingest("one", "readings", [reading(n, "d%d" % (n % 4), n) for n in range(first, first + 20)])
        began.append(time.monotonic() - at)
    worst, usual = sorted(took)[int(len(took) * 0.95)], sorted(began)[int(len(began) * 0.95)]
    say(f"ingest with a dead sink: p95 {worst * 1e3:.1f} ms, with a live one {usual * 1e3:.1f} ms")
    check(worst < 4 * usual + 0.25, f"a dead sink slows ingest: {worst:.3f} s against {usual:.3f} s")
    wait_for("it has caught up", lambda: (s := sink_of(host))["delivered"] == 2000 and s["state"] == "ok" and s["lag_seconds"] == 0)
    equal(sorted(row["value"] for row in far.once()), [float(n) for n in range(2000)], "every row")
    host.stop()


def a_killed_host_sends_the_same_batch_again():
    far = Far("deaf")
    host = started(far, key=KEYED, rows=30)
    host.ingest("one", "readings", [reading(n, value=n) for n in range(100)])
    wait_for("a batch that is not confirmed", lambda: far.all())
    host.kill()
    tried = {batch["id"]: batch["rows"] for batch in far.all()}
    equal(len(tried), 1, "one batch at a time")
    far.mode = "ok"
    host.start()
    host.ingest("one", "readings", [reading(n, value=n) for n in range(100, 150)])
    wait_for("all rows", lambda: len(far.once()) == 150)
    again = [batch for batch in far.all() if batch["id"] in tried]
    check(len(again) >= 2, "the batch came again under its id", [b["id"] for b in far.all()])
    check(all(batch["rows"] == tried[batch["id"]] for batch in again), "with the same rows")
    by_id = {}
    for batch in far.all():
        by_id.setdefault(batch["id"], batch["rows"])
    equal(sum(len(rows) for rows in by_id.values()), 150, "who drops batches that it has gets each row once")
    host.stop()


main(a_row_that_is_committed_late_is_not_passed_over, a_sink_that_is_new_begins_before_rows_that_are_on_their_way, a_dead_sink_slows_nothing_and_loses_nothing,
     a_killed_host_sends_the_same_batch_again)
