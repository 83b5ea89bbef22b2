"""What the host does about a plugin that dies without a row to blame: a crash costs less than a second, a record that cannot be
passed over ends in quarantine (told once, ended by a person), a process that grows is replaced and nothing is lost."""
import os
import shutil
import signal
import time

import harness
import templates
from cells import instance
from harness import check, equal, say, wait_for

ECHO = "org.penstock.test.echo-source"
PACE_S = 2.0
KILLS, RECOVERY_S = 3, 10  # the bar is a second on a quiet machine; a hunt that waits for the pace at each step takes 14


def source(store, **config):
    return {"plugin": ECHO, "config": {"one_stream": True, **config}, "into": f"datastore:{store}"}


def template():
    return templates.template(
        "supervise", datastores={store: templates.echoed() for store in ("rows", "grown", "stuck", "polled", "paced")},
        connectors={
            "paced": source("paced", rows=10100, pace_ms=int(PACE_S * 1000), trouble={"what": "abort", "value": 10050}),
            "polled": source("polled", rows=5000000, pace_ms=60000),
            "steady": source("rows", rows=5000000, pace_ms=100),
            "growing": source("grown", rows=100000, pace_ms=300, trouble={"what": "grow"}),
            "stuck": source("stuck", rows=1000, no_skip=True, trouble={"what": "abort", "value": 666})})


def count(host, store):
    return int(host.sql(f"SELECT count(*) FROM datastore.{store}_wid1")[0][0])


def crash(host):
    """From the kill of a source's process to the next new row in its table."""
    took = []
    for _ in range(KILLS):
        before = wait_for("rows come", lambda: count(host, "rows"), 30)
        pid = wait_for("it has a process", lambda: instance(host, "connector:steady", ECHO)["pid"], 30)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_for("it has another process", lambda: instance(host, "connector:steady", ECHO)["pid"] not in (0, pid), 30)
        fresh = count(host, "rows")
        wait_for("rows come again", lambda: count(host, "rows") > max(before, fresh), 30)
        took.append(time.monotonic() - began)
        host.api("POST", f"/plugins/{ECHO}:retry")  # each kill is a case of its own
    say("a killed source delivers again after " + ", ".join(f"{t:.2f}" for t in took) + " s, polling included")
    check(min(took) < RECOVERY_S, "it recovers at once", took)


def stuck(host):
    quarantined = lambda: (i := instance(host, "connector:stuck", ECHO)) and i["condition"] == "quarantined" and i
    found = wait_for("the source that cannot skip is in quarantine", quarantined, 60)
    wait_for("the rows before the record that kills are stored", lambda: count(host, "stuck") == 666, 30)
    check('"666"' in found["last_death"] and "cannot skip" in found["last_death"], "the reason names the cursor", found)
    check(0 < found["retry_in_seconds"] <= 600, "it says when it is tried again", found)
    events = [e for e in host.api("GET", "/workspaces/ws/audit").json["items"] if e["verb"] == "plugin.quarantine"]
    equal(len(events), 1, "events in the audit")
    check("tried again" in events[0]["detail"]["reason"], "the event says what happens next", events)
    equal(host.log().count("msg=quarantine"), 1, "lines in the log")
    host.cli("plugin", "retry", ECHO)
    again = wait_for("it was tried, and is in quarantine again",
                     lambda: (i := quarantined()) and i["deaths"] > found["deaths"] and i, 60)
    equal(count(host, "stuck"), 666, "rows before the record that kills")
    say(f"quarantine: {again['last_death']}")
    text = host.request("GET", "/metrics", admin=True).text
    check('penstock_instance_quarantined{' in text and 'instance="connector:stuck"' in text, "/metrics shows it")
    shown = host.cli("plugin", "list").text
    check("echo-source" in shown, "plugin list shows it", shown)


def polled(host):
    """One batch, then nothing for a minute: no process is kept for that."""
    wait_for("the first batch is there", lambda: count(host, "polled") == 10000, 30)
    found = wait_for("its process has ended", lambda: (i := instance(host, "connector:polled", ECHO)) and not i["pid"] and i, 30)
    equal((found["condition"], found["source_open"], found["deaths"]), ("stopped", False, 0), "between two polls")


def paced(host):
    """A record kills a source that keeps a pace: the hunt for it does not wait for the pace at each of its steps."""
    wait_for("all its rows but one are there", lambda: count(host, "paced") == 10099, 60)
    took = float(host.sql("SELECT extract(epoch FROM max(_received) - min(_received)) FROM datastore.paced_wid1")[0][0]) - PACE_S
    say(f"a record that kills a paced source is found and passed over in {took:.2f} s")
    check(took < RECOVERY_S, "it is whole again soon", took)


def growing(host):
    wait_for("all rows of the growing one are there", lambda: count(host, "grown") == 100000, 90)
    equal(host.sql("SELECT count(DISTINCT n) FROM datastore.grown_wid1"), [["100000"]], "different rows")
    found = instance(host, "connector:growing", ECHO)
    say(f"growing: {found['recycles']} recycles, {found['deaths']} deaths")
    check(found["recycles"] >= 1, "it was replaced", found)
    equal(found["deaths"], 0, "deaths of the growing one")


def supervision():
    plugins = harness.folder()
    shutil.copy(harness.BUILD / "tests" / "plugins" / "echo_source.so", plugins)
    host = harness.Host(plugins=[plugins], settings=["--plugins-memory", "200MiB"])
    host.start()
    templates.publish(host, template())
    host.workspace("ws", "supervise")
    stuck(host)
    crash(host)
    paced(host)
    polled(host)
    growing(host)
    equal(host.process.poll(), None, "the host's exit code")


harness.main(supervision)
