"""New versions of plugins again and again, half of them bad, while a source delivers as fast as it may and models, metric
engines and notifiers work: no number is lost or there twice, and a switch holds calls up for milliseconds at most.

PENSTOCK_RELOADS says how often (default 6), PENSTOCK_KILLS how often the host is killed in the middle of one (default 2).
PENSTOCK_RELOADS_LONG (default 0 = not at all): so many reloads one after the other, judged by what the host has grown
between the hundredth and the last. PENSTOCK_PAUSE_MS: what a switch may hold calls up on average (default: printed, not
judged, as with sanitizers on a busy machine).
"""
import os
import random
import re
import time

import harness
import reloading
from harness import check, equal, say, wait_for
from reloading import BAD, SORTS, drop_bad, drop_good, plugin

RELOADS = int(os.environ.get("PENSTOCK_RELOADS", "6"))
LONG = int(os.environ.get("PENSTOCK_RELOADS_LONG", "0"))
PAUSE_MS = float(os.environ.get("PENSTOCK_PAUSE_MS", "0"))
KILLS = int(os.environ.get("PENSTOCK_KILLS", "2"))
SETTLED, GROWTH_KIB = 100, 1024


def make_host(pace, sleep_ms):
    host = reloading.make_host(pace=pace, sleep_ms=sleep_ms)
    host.workspace("ws", "reloading")
    wait_for("there are features", lambda: int(host.sql("SELECT count(*) FROM featurestore.seconds_wid1")[0][0]))
    host.cli("model", "train", "judge", "-w", "ws")
    wait_for("the model scores", lambda: int(host.sql("SELECT count(*) FROM inferencestore.judged_wid1")[0][0]))
    host.metric("ws", "engine")
    return host


def plan(n):
    """Sorts in turn; of two reloads of a sort the first is bad, the second good, each with another version."""
    for i in range(n):
        sort, turn = SORTS[i // 2 % len(SORTS)], i // 2 // len(SORTS)
        yield (sort, None, str(turn % 2 + 2)) if i % 2 else (sort, BAD[sort][turn % len(BAD[sort])], None)


def pauses(host):
    """Milliseconds, with whether an open source went over."""
    found = re.findall(r'msg="version switched".* instance=(\w+):.* pause_us=(\d+)', host.log())
    return [int(us) / 1000 for _, us in found], [int(us) / 1000 for kind, us in found if kind == "connector"]


def show_pauses(host):
    every, sources = pauses(host)
    say(f"{len(every)} switches: calls held up {sum(every) / len(every):.2f} ms on average, {max(every):.2f} ms at most;"
        f" {len(sources)} of open sources: {sum(sources) / max(len(sources), 1):.2f} ms, {max(sources, default=0):.2f} ms")
    if PAUSE_MS:
        check(sum(every) / len(every) <= PAUSE_MS, f"a switch holds calls up for {PAUSE_MS} ms on average at most", every)
        check(sum(sources) / len(sources) <= PAUSE_MS, f"and one of a source for {PAUSE_MS} ms", sources)


def reloads_under_load():
    host = make_host(pace=200, sleep_ms=10)
    began, bad = reloading.numbers(host)[0], 0
    for sort, wrong, right in plan(RELOADS):
        if wrong:
            drop_bad(host, sort, wrong)
            bad += 1
        else:
            drop_good(host, sort, right)
    for sort in SORTS:
        for i in plugin(host, sort)["instances"]:
            equal((i["deaths"], i["condition"] in ("running", "stopped")), (0, True), f"cells of {i['name']} that died")
    rows = reloading.numbers(host)[0]
    wait_for("the source goes on", lambda: reloading.numbers(host)[0] > rows)
    host.api("POST", "/workspaces/ws/connectors/numbers:pause")
    wait_for("it rests", lambda: host.api("GET", "/workspaces/ws/connectors/numbers").json["state"] == "paused")
    wait_for("every number is there", lambda: len(set(reloading.numbers(host))) == 1)
    rows = reloading.whole(host)
    say(f"{RELOADS} reloads, {bad} of them bad: {rows - began} numbers came meanwhile, {rows} in all, 0 lost, 0 twice")
    show_pauses(host)
    equal(host.process.poll(), None, "the host's exit code")


def size(host):
    """Anonymous memory in KiB and open descriptors, the least of many looks: requests and deliveries come and go."""
    pid, looks = host.process.pid, []
    for _ in range(40):
        with open(f"/proc/{pid}/status") as status:
            looks.append((int(re.search(r"RssAnon:\s+(\d+) kB", status.read()).group(1)), len(os.listdir(f"/proc/{pid}/fd"))))
        time.sleep(harness.POLL_S)
    return min(l[0] for l in looks), min(l[1] for l in looks)


def many_reloads_leave_nothing_behind():
    if not LONG:
        raise harness.Skipped("PENSTOCK_RELOADS_LONG says how many")
    host, settled = make_host(pace=1, sleep_ms=200), None
    for i in range(LONG):
        drop_good(host, SORTS[i % len(SORTS)], str(i // len(SORTS) % 2 + 2))
        if i + 1 == SETTLED:
            settled = size(host)
        if (i + 1) % SETTLED == 0:
            say("after {} reloads: RssAnon {} KiB, {} descriptors".format(i + 1, *size(host)))
    check(settled, f"more than {SETTLED} reloads are asked for", LONG)
    grown = [b - a for a, b in zip(settled, size(host))]
    say(f"from reload {SETTLED} to {LONG}: RssAnon {grown[0]:+d} KiB, descriptors {grown[1]:+d}")
    copies = len(list((host.state / "plugins").glob("*.so")))
    check(copies <= 3 * len(SORTS), "old copies are deleted", copies)
    show_pauses(host)
    reloading.whole(host)
    check(grown[0] <= GROWTH_KIB and grown[1] <= 0, f"at most {GROWTH_KIB} KiB and no descriptor", grown)


def a_kill_in_the_middle_of_a_reload():
    """Whenever the host is killed: it comes up with a good version, and takes the new file in the end."""
    host = make_host(pace=50, sleep_ms=10)
    for i in range(KILLS):
        sort, version, moment = SORTS[i % len(SORTS)], str(i % 2 + 2), random.uniform(0, 0.3)
        reloading.put(host.dropped, sort, version)
        time.sleep(moment)
        host.kill()
        host.start()
        shown = reloading.serves(host, sort, version)
        say(f"killed {moment * 1000:.0f} ms after version {version} of the {sort} was dropped in: it serves,"
            f" after {shown['previous']['version']}")
        drop_bad(host, sort, "configure")
    rows = reloading.numbers(host)[0]
    wait_for("the source goes on", lambda: reloading.numbers(host)[0] > rows)
    say(f"{KILLS} kills: {reloading.whole(host)} numbers, each there once")


harness.main(reloads_under_load, a_kill_in_the_middle_of_a_reload, many_reloads_leave_nothing_behind)
