"""Every fault in every kind of plugin, on a fresh instance each, while rows come into its workspace and into another one: the
host stays up, nothing acknowledged is lost or there twice, the work comes to its end, and only a row that kills is put aside.

As a test each case runs once, and only that is judged. With PENSTOCK_MATRIX=N (`./dev soak`) each runs N times, each beside a
case that is the same without its fault: what the fault cost the other workspace in rows and in p99, how much later the work
was whole again, and how long a hanging call lasted are printed, and held against the bars.
"""
import collections
import contextlib
import itertools
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import threading
import time

import harness
import matrix_cases
import senders
from harness import check, equal, say, wait_for
from matrix_cases import DEADLINE_S, KINDS, Case

TIMES = int(os.environ.get("PENSTOCK_MATRIX", "0"))
ONLY = os.environ.get("PENSTOCK_MATRIX_FAULTS", "").split()  # empty = all; "spin", "model" or "model/spin"
RATE = 2500 if TIMES else 500  # rows/s into each of the two workspaces
WINDOW_S = float(os.environ.get("PENSTOCK_MATRIX_WINDOW", "4"))  # of a pair: some hundred requests, or p99 is the slowest
BATCH = 10


class Load(threading.Thread):
    """A steady load on one workspace by a process of its own, so that what this test does is not in its times."""

    def __init__(self, host, ws, rate):
        super().__init__(daemon=True)
        self.ws, self.took = ws, []
        self.client = subprocess.Popen([sys.executable, "-B", pathlib.Path(__file__).with_name("steady_load.py"),
                                        str(host.port), host.key, ws, str(rate), str(BATCH)], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self):
        for line in self.client.stdout:
            began, took = line.split()
            self.took.append((float(began), float(took)))

    @property
    def acked(self):
        return len(self.took) * BATCH

    def stop(self):
        self.client.stdin.close()
        self.join(60)
        equal(self.client.wait(10), 0, f"{self.ws}'s client ends well: {self.client.stderr.read()}")

    def figures(self, since, until):
        """Rows a second and p99 in seconds of a time."""
        took = [t for at, t in self.took if since <= at < until]
        return len(took) * BATCH / (until - since), senders.percentile(took, 0.99)


def whole(host, load, wid):
    """Every acknowledged row of a load is stored once."""
    numbers = lambda: host.sql(f"SELECT count(*), count(DISTINCT n) FROM datastore.load_wid{wid}")[0]
    wait_for(f"{load.ws}'s rows are stored", lambda: int(numbers()[0]) >= load.acked, 60)
    equal(numbers(), [str(load.acked)] * 2, f"{load.ws}: stored rows, different ones (acknowledged {load.acked})")


def held(host):
    """What the host holds: descriptors by their kind, but for connections (a pool's come and go), and threads."""
    process, kinds = pathlib.Path(f"/proc/{host.process.pid}"), collections.Counter()
    for fd in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            kinds[os.readlink(fd).split("[")[0].split("/")[-1]] += 1
    kinds["threads"] = len(list((process / "task").iterdir()))
    return kinds


def run_case(host, calm, case):
    """Provokes the fault under load; how long until all was done, and what the calm workspace had meanwhile."""
    case.make(host)
    load = Load(host, case.ws, RATE)
    load.start()
    case.warm(host)
    began = time.monotonic()
    case.provoke(host)
    case.done(host)
    took = time.monotonic() - began
    while TIMES and time.monotonic() - began < WINDOW_S:  # asking costs something, too: as often with the fault as without
        case.ask(host)
        time.sleep(harness.POLL_S)
    rate, p99 = calm.figures(began, time.monotonic())
    load.stop()
    case.judge(host)
    whole(host, load, case.wid)
    equal(host.process.poll(), None, "the host's exit code")
    case.remove(host)
    return took, rate, p99


def set_up():
    plugins = harness.folder()
    for name in matrix_cases.PLUGINS:
        shutil.copy(harness.BUILD / "tests" / "plugins" / f"{name}.so", plugins)
    host = harness.Host(plugins=[plugins], settings=["--plugins-memory", "96MiB", *itertools.chain(
        *(["--plugins-deadline-" + call, str(int(DEADLINE_S * 1000))] for call in ("read", "send", "infer", "evaluate")))])
    host.start()
    matrix_cases.workspace(host, "calm", "source", None)
    Case("source", None, 1).done(host)
    calm = Load(host, "calm", RATE)
    calm.start()
    return host, calm


def finish(host, calm, before):
    calm.stop()
    whole(host, calm, 1)
    more = lambda: {k: (before[k], n) for k, n in held(host).items() if n > before[k] and k != "socket:"}
    say(f"more held by the host than before: {more()} of {sum(held(host).values())}")
    wait_for(f"the host holds no more than before: {more()}", lambda: not more(), 30)


def each_fault_once():
    host, calm = set_up()
    before = held(host)
    for wid, (kind, fault) in enumerate(matrix_cases.ALL, 2):
        took, _, _ = run_case(host, calm, Case(kind, fault, wid))
        say(f"{kind:9} {fault:12} done after {took:5.2f} s")
    finish(host, calm, before)


def verdict(kind, fault, pairs):
    """One line of the table: medians of the pairs."""
    middle = lambda values: statistics.median(values)
    rows = middle([b[1] / a[1] for a, b in pairs])
    p99 = middle([b[2] / a[2] for a, b in pairs])
    later = middle([b[0] - a[0] for a, b in pairs])
    bar = DEADLINE_S + 1 if fault in matrix_cases.STOPS else 1.0
    fine = rows >= 0.95 and p99 <= 1.25 and later <= bar
    say(f"{kind:9} {fault:12} rows/s {rows:5.3f}  p99 {p99:5.2f} ({middle([b[2] for _, b in pairs]) * 1000:5.1f} ms)"
        f"  whole again {later:6.2f} s later (bar {bar:.0f})  {'' if fine else 'MISSED'}")
    return fine


def each_fault_again_and_again():
    host, calm = set_up()
    before, wid, missed = held(host), itertools.count(2), []
    pairs = collections.defaultdict(list)
    for kind, fault in [c for c in matrix_cases.ALL if not ONLY or {*c, "/".join(c)} & {*ONLY}]:
        for _ in range(TIMES):
            without = run_case(host, calm, Case(kind, None, next(wid)))
            pairs[kind, fault].append((without, run_case(host, calm, Case(kind, fault, next(wid)))))
        if not verdict(kind, fault, pairs[kind, fault]):
            missed.append((kind, fault))
    finish(host, calm, before)
    say(f"{len(pairs)} cases of {len(KINDS)} kinds, {TIMES} times each: 0 lost, 0 twice; bars missed: {missed or 'none'}")


harness.main(each_fault_again_and_again if TIMES else each_fault_once)
