#!/usr/bin/env python3
"""Every goal of ingest beside its yardstick, in turn, on one PostgreSQL: `./dev bench ingest`.

A host of its own on a temporary state; stage.py says what a variant is. Every round measures each variant of a group
once, so the figure to look at is the ratio within a round: rows a second on a shared machine move by tens of per cent
from minute to minute. CPU a row is user and system time from /proc: of the host, and of all processes of PostgreSQL
with what refreshes cost after the last answer.

    measure.py --programs DIR [--decode PROGRAM] [--groups appended,single,keyed,ack,latency,lines,memory,longer]
               [--rounds 5] [--scale 1.0] [--minutes 0]

PENSTOCK_GROUPS and PENSTOCK_MINUTES say the same to `./dev bench ingest`. All of it takes a quarter of an hour on two
quiet cores. Groups: appended (100, 1,000, 10,000 rows a request beside raw), single (one row from 32 clients), keyed
(with one featurestore), ack (the default answer beside append + fdatasync), latency (one client in a closed loop), lines
(line protocol beside NDJSON), memory (anonymous, idle and under load; --minutes N: whether it stays flat), decode (an
NDJSON row alone), longer (tables ten times as long).
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import stage as stages  # noqa: E402
from bars import Bar, Report, cpu_ratio, field, field_ratio, speed  # noqa: E402
from stage import harness  # noqa: E402

ROWS = {1: 20_000, 100: 100_000, 1_000: 400_000, 10_000: 600_000}
KEYED_ROWS = {100: 50_000, 1_000: 300_000, 10_000: 400_000}
LONG_ROWS, LONG_TIMES, LONG_ADDED = 500_000, 10, 300_000
IDLE_S, SLICE_S = 3, 30


class Run:
    def __init__(self, options):
        self.options = options
        self.stage = stages.Stage(options.programs)
        self.report = Report()

    def rows(self, table, batch):
        return max(batch, int(table[batch] * self.options.scale) // batch * batch)

    def rounds(self, store, whats, batch, rows, clients=4):
        """One list of {variant: result}, a round each; every second one the other way round."""
        found = []
        for number in range(self.options.rounds):
            order = whats if number % 2 == 0 else whats[::-1]
            done = {what: self.stage.one(store, what, batch, rows, clients) for what in order}
            found.append({what: done[what] for what in whats})
        return found

    # ---- the groups ----

    def appended(self):
        store = self.stage.store("appended")
        bars = {
            100: [Bar("appended, 100 rows a request / raw", speed("stored", "raw"), 1.0)],
            1_000: [Bar("appended, 1,000 rows a request / raw", speed("stored", "raw"), 0.90),
                    Bar("host CPU at 1,000 rows a request, us a row", field("stored", "host_us"), 1.0, False),
                    Bar("host + backend CPU / raw, 1,000 rows", cpu_ratio("stored", "raw"), 1.35, False)],
            10_000: [Bar("appended, 10,000 rows a request / raw on 2 connections", speed("stored", "raw2"))],
        }
        for batch in (100, 1_000, 10_000):
            rounds = self.rounds(store, ["raw", "stored", "raw2"], batch, self.rows(ROWS, batch))
            self.report.group(f"append-only store, {batch} rows a request, 4 clients", rounds, bars[batch])

    def single(self):
        store = self.stage.store("appended")
        rounds = self.rounds(store, ["raw", "stored", "empty"], 1, self.rows(ROWS, 1), 32)
        to_commits = Bar("one row a request, 32 clients / single commits on 16 connections", speed("stored", "raw"), 2.5)
        to_empty = Bar("one row a request, 32 clients / our own empty POST", speed("stored", "empty"), 0.5)
        either = max((to_commits, to_empty), key=lambda b: statistics.median(b.take(rounds).values) / b.goal)
        for bar in (to_commits, to_empty):
            if bar is not either:
                bar.goal = None  # either is enough
        self.report.group("append-only store, one row a request, 32 clients", rounds, [to_commits, to_empty])

    def keyed(self):
        store = self.stage.store("keyed", keyed=True)
        for batch in (100, 1_000, 10_000):
            goals = (0.35, 0.8) if batch == 1_000 else (None, None)
            rounds = self.rounds(store, ["raw", "stored", "hand"], batch, self.rows(KEYED_ROWS, batch))
            self.report.group(f"keyed store with a featurestore, {batch} rows a request, 4 clients", rounds, [
                Bar(f"keyed with a featurestore, {batch:,} rows a request / raw", speed("stored", "raw"), goals[0]),
                Bar(f"keyed with a featurestore, {batch:,} rows / by hand from C", speed("stored", "hand"), goals[1]),
                Bar(f"the same, CPU of host + backends / by hand, {batch:,} rows", cpu_ratio("stored", "hand"))])

    def ack(self):
        store = self.stage.store("appended")
        rounds = self.rounds(store, ["append", "journal", "at_once"], 1_000, self.rows(ROWS, 1_000))
        self.report.group("answered after the journal's sync, 1,000 rows a request, 4 clients", rounds, [
            Bar("default answer, 1,000 rows / append + fdatasync, groups of 5 ms", speed("journal", "append"), 0.6),
            Bar("default answer, 1,000 rows / append + fdatasync at once, no HTTP", speed("journal", "at_once")),
            Bar("backlog at the end, s until stored", field("journal", "drained_s"), 2, False)])

    def latency(self):
        store = self.stage.store("appended")
        rounds = self.rounds(store, ["raw", "stored"], 1_000, self.rows(ROWS, 1_000) // 2, 1)
        self.report.group("one client in a closed loop, 1,000 rows a request", rounds, [
            Bar("p99 of a 1,000-row request / raw's", field_ratio("stored", "raw", "p99_ms"), 2, False)])

    def lines(self):
        store = self.stage.store("appended")
        rounds = self.rounds(store, ["stored", "lines"], 1_000, self.rows(ROWS, 1_000))
        self.report.group("line protocol beside NDJSON, 1,000 rows a request, 4 clients", rounds, [
            Bar("line protocol / NDJSON, rows a second", speed("lines", "stored"), 1.0),
            Bar("line protocol / NDJSON, host CPU a row", field_ratio("lines", "stored", "host_us"), 1.0, False)])

    def decode(self):
        if not self.options.decode:
            return
        said = subprocess.run([str(self.options.decode)], stdout=subprocess.PIPE, text=True, timeout=300).stdout
        found = re.search(r"^ndjson, 1000 rows.*?([\d.]+) us/row +\[([\d.]+) \.\. ([\d.]+)\]", said, re.M)
        harness.check(found, "decode_bench printed no figure for ndjson", said)
        bar = Bar("decode and validate an NDJSON row, us of CPU", None, 0.6, False)
        bar.values = [float(found[n]) for n in (1, 2, 3)]
        self.report.add(bar)

    def memory(self):
        stage = self.stage
        fresh = stage.anonymous_mib()
        store = stage.store("appended")
        rounds = []
        for _ in range(self.options.rounds):
            result = stage.one(store, "stored", 1_000, self.rows(ROWS, 1_000), 4)
            time.sleep(IDLE_S)  # what is freed after a load is freed by then
            rounds.append({"stored": {**result, "idle_mib": stage.anonymous_mib()}})
        self.report.group("anonymous memory of the host and its helpers", rounds, [
            Bar("anonymous memory idle, nothing taken yet, MiB", lambda _: fresh, 16, False),
            Bar("anonymous memory idle after load, MiB", field("stored", "idle_mib"), 16, False),
            Bar("anonymous memory under load, MiB", field("stored", "anonymous_mib"), 48, False)])
        if self.options.minutes > 0:
            self.soak(store)

    def soak(self, store):
        """The same load for minutes: the memory of the last slice beside that of the first minute's."""
        until = time.monotonic() + 60 * self.options.minutes
        slices = []
        while time.monotonic() < until:
            began, most = time.monotonic(), 0
            while time.monotonic() < began + SLICE_S:
                most = max(most, self.stage.one(store, "stored", 1_000, self.rows(ROWS, 1_000), 4)["anonymous_mib"])
            slices.append(most)
            harness.say(f"    {SLICE_S * len(slices)} s: {most:.1f} MiB")
        bar = Bar(f"memory of the last slices / of the first, {self.options.minutes:g} minutes", None, 1.1, False)
        third = max(1, len(slices) // 3)
        bar.values = [statistics.median(slices[-third:]) / statistics.median(slices[:third])]
        self.report.add(bar)

    def longer(self):
        for keyed in (False, True):
            kind = "keyed" if keyed else "appended"
            stores = [self.stage.store(f"{kind}-{length}", keyed) for length in ("short", "long")]
            for store, rows in zip(stores, (LONG_ROWS, LONG_ROWS * LONG_TIMES)):
                self.stage.fill(store, int(rows * self.options.scale) // 10_000 * 10_000)
            rounds = []
            for number in range(self.options.rounds):
                order = stores if number % 2 == 0 else stores[::-1]
                done = {s.name: self.stage.one(s, "stored", 1_000, self.rows({1_000: LONG_ADDED}, 1_000), 4, keep=True)
                        for s in order}
                rounds.append({s.name.split("-")[1]: done[s.name] for s in stores})
            self.report.group(f"{kind} tables of {LONG_ROWS:,} and {LONG_ROWS * LONG_TIMES:,} rows, 1,000 rows a request",
                              rounds, [Bar(f"table ten times as long ({kind}), CPU a stored row", lambda r: sum(
                                  r["long"][k] for k in ("host_us", "server_us")) / sum(
                                      r["short"][k] for k in ("host_us", "server_us")), 1.10, False)])


GROUPS = ["memory", "decode", "appended", "single", "ack", "latency", "lines", "keyed", "longer"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="folder of ingest_http and the yardsticks")
    parser.add_argument("--decode", type=pathlib.Path, help="decode_bench")
    parser.add_argument("--groups", type=lambda s: s.split(","), default=os.environ.get("PENSTOCK_GROUPS", ",".join(GROUPS)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="times the usual number of rows")
    parser.add_argument("--minutes", type=float, default=os.environ.get("PENSTOCK_MINUTES", "0"),
                        help="of load for the group memory")
    options = parser.parse_args()
    sys.argv[1:] = []  # the words are ours, not names of tests
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")

    def ingest():
        run = Run(options)
        for group in options.groups:
            getattr(run, group)()
        run.report.finish()

    harness.main(ingest)


if __name__ == "__main__":
    main()
