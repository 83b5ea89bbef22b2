"""New versions of plugins under a running host: dropped in, loaded, rolled back, unloaded; a good and several bad versions
of each sort while a source delivers all the time; what served before a restart serves after it. Nothing is lost or twice."""

import time

import harness
import reloading
from harness import check, equal, say, wait_for
from reloading import SORTS, drop_bad, drop_good, plugin, plugin_id, put, serves

INSTANCES = {"source": "connector:numbers", "notifier": "notifier:teller", "metric": "metric:engine", "model": "model:judge"}


def answers(host, sort):
    """The version that gave the newest result of that sort."""
    if sort == "source":
        return reloading.newest_version(host)
    if sort == "metric":
        return host.metric("ws", "engine")[0]["version"]
    if sort == "model":
        found = host.sql("SELECT version FROM inferencestore.judged_wid1 ORDER BY bucket DESC LIMIT 1")
        return int(found[0][0]) if found else None
    found = host.sql("SELECT external FROM control.delivery WHERE state = 'sent' ORDER BY finished DESC LIMIT 1",
                     "penstock_control")
    return int(found[0][0][1:]) if found and found[0][0] else None


def all_answer(host, version):
    for sort in SORTS:
        wait_for(f"version {version} of the {sort} answers", lambda: answers(host, sort) == version, 60)


def audit(host):
    return host.sql("SELECT verb, object, actor FROM control.audit WHERE object LIKE 'plugin:%' ORDER BY seq",
                    "penstock_control")


def every_sort_is_replaced(host):
    all_answer(host, 1)
    for sort in SORTS:
        shown = drop_good(host, sort, "2")
        equal([(i["name"], i["version"], i["swaps"]) for i in shown["instances"]], [(INSTANCES[sort], "2.0.0", 1)],
              f"who runs the {sort}")
        equal(shown["previous"]["version"], "1.0.0", "the version before")
    all_answer(host, 2)
    for sort in SORTS:
        check(all(i["deaths"] == 0 for i in plugin(host, sort)["instances"]), f"no cell of the {sort} died")


def bad_versions_replace_nothing(host):
    for sort in SORTS:
        for bad in reloading.BAD[sort]:
            say(f"{sort} {bad}: {drop_bad(host, sort, bad)['refused']['why']}")
        instance = plugin(host, sort)["instances"][0]
        equal((instance["version"], instance["deaths"]), ("2.0.0", 0), f"the {sort} goes on")
    listed = host.cli_json("plugin", "list")["items"]
    equal({i["id"]: i["version"] for i in listed if i["id"].startswith("org.penstock.test.")},
          {plugin_id(s): "2.0.0" for s in SORTS}, "what serves, as listed")


def odd_files_replace_nothing(host):
    file, whole = host.dropped / "metric.so", (reloading.VERSIONS / "versioned_metric_3.so").read_bytes()

    def half():
        file.write_bytes(whole[:len(whole) // 2])

    def link():
        file.unlink()
        file.symlink_to(reloading.VERSIONS / "versioned_metric_3.so")

    def large():
        file.unlink()
        with open(file, "wb") as out:
            out.truncate((64 << 20) + 1)

    for make, says in ((half, "section"), (link, "symbolic link"), (large, "larger than 67108864 bytes")):
        was = plugin(host, "metric")
        make()
        now = reloading.refused(host, "metric", was["refused"])
        check(says in now["refused"]["why"] and now["hash"] == was["hash"], f"{make.__name__}: told, and nothing replaced", now)
        listed = [p for p in host.cli_json("plugin", "list")["items"] if p["state"] == "broken"]
        check(len(listed) == 1 and says in listed[0]["error"], "the file is listed as broken", listed)
    equal(answers(host, "metric"), 2, "the version that answers")
    file.unlink()
    with open(file, "wb") as slow:  # somebody copies slowly: taken when it is whole
        slow.write(whole[:len(whole) // 2])
        slow.flush()
        wait_for("half of it was looked at", lambda: "larger" not in plugin(host, "metric")["refused"]["why"])
        slow.write(whole[len(whole) // 2:])
    serves(host, "metric", 3)
    drop_good(host, "metric", "1")
    drop_good(host, "metric", "2")


def rolled_back_and_loaded(host):
    back = host.cli_json("plugin", "rollback", plugin_id("metric"))
    equal((back["version"], back["pinned"], back["previous"]["version"]), ("1.0.0", True, "2.0.0"), "after the rollback")
    wait_for("version 1 answers", lambda: answers(host, "metric") == 1)
    loaded = host.cli_json("plugin", "load", reloading.VERSIONS / "versioned_metric_3.so")
    equal((loaded["version"], loaded["switched"], loaded["pinned"]), ("3.0.0", 1, False), "after the load")
    wait_for("version 3 answers", lambda: answers(host, "metric") == 3)
    out = host.cli("plugin", "load", reloading.VERSIONS / "versioned_metric_configure.so", code=6)
    check("refuses every configuration" in out.errors, "the refusal says why", out.errors)
    out = host.cli("plugin", "load", __file__ + ".so", code=4)
    check("opening a file" in out.errors, "a file that is not there", out.errors)
    out = host.cli("plugin", "load", reloading.VERSIONS / "two_exports.so", code=7)
    check("exports penstock_second_symbol" in out.errors, "what cannot be used says why", out.errors)
    host.cli("plugin", "rollback", "org.penstock.test.nothing", code=4)
    host.cli("plugin", "unload", "org.penstock.test.nothing", code=4)


def unloaded_and_loaded(host):
    gone = host.cli_json("plugin", "unload", plugin_id("source"))
    equal((gone["state"], gone["instances"][0]["condition"], gone["instances"][0]["pid"]), ("unloaded", "unloaded", 0),
          "after the unload")
    wait_for("the source pauses", lambda: host.api("GET", "/workspaces/ws/connectors/numbers").json["state"] == "paused")
    host.cli("plugin", "load", plugin_id("model"), code=6)  # the newest file of the model is a bad one
    host.cli("plugin", "unload", plugin_id("model"))
    rows = reloading.whole(host)
    host.cli("plugin", "load", reloading.VERSIONS / "versioned_source_3.so")
    wait_for("the source delivers again", lambda: reloading.numbers(host)[0] > rows and answers(host, "source") == 3)
    put(host.dropped, "model", "3")
    host.cli("plugin", "load", plugin_id("model"))
    serves(host, "model", 3)
    wait_for("the model scores again", lambda: answers(host, "model") == 3)


def after_a_restart_all_is_as_before(host):
    host.cli("plugin", "rollback", plugin_id("source"))
    host.cli("plugin", "unload", plugin_id("notifier"))
    before = {s: (plugin(host, s)["hash"], plugin(host, s)["state"], plugin(host, s)["pinned"]) for s in SORTS}
    put(host.dropped, "metric", "1")  # while it runs: a version like any other
    serves(host, "metric", 1)
    (host.dropped / "model.so").unlink()
    gone = wait_for("the file is gone", lambda: (p := plugin(host, "model"))["file_gone"] and p)
    equal((gone["state"], gone["instances"][0]["condition"]), ("ok", "running"), "the model goes on without its file")
    before["metric"] = (plugin(host, "metric")["hash"], "ok", False)
    equal(host.stop()[0], 0, "the exit code of a stop")
    put(host.dropped, "metric", "configure")  # a bad one arrives while the host is down
    host.start()
    wait_for("the bad version is refused", lambda: plugin(host, "metric")["refused"])
    after = {s: (plugin(host, s)["hash"], plugin(host, s)["state"], plugin(host, s)["pinned"]) for s in SORTS}
    equal(after, before, "what serves after the restart")
    wait_for("the source delivers", lambda: answers(host, "source") == 2)
    equal(answers(host, "metric"), 1, "the version of the metric engine")
    host.cli("plugin", "load", plugin_id("notifier"), code=6)
    host.cli("plugin", "rollback", plugin_id("notifier"))
    wait_for("the notifier delivers", lambda: plugin(host, "notifier")["state"] == "ok")


def timed(part, host):
    began = time.monotonic()
    part(host)
    say(f"{part.__name__}: {time.monotonic() - began:.1f} s")


def reload_while_everything_runs():
    host = reloading.make_host()
    host.workspace("ws", "reloading")
    wait_for("there are features", lambda: int(host.sql("SELECT count(*) FROM featurestore.seconds_wid1")[0][0]))
    host.cli("model", "train", "judge", "-w", "ws")
    timed(every_sort_is_replaced, host)
    timed(bad_versions_replace_nothing, host)
    timed(odd_files_replace_nothing, host)
    timed(rolled_back_and_loaded, host)
    timed(unloaded_and_loaded, host)
    timed(after_a_restart_all_is_as_before, host)
    say(f"{reloading.whole(host)} numbers, each there once")
    deeds = audit(host)
    check({"load", "unload", "rollback", "refuse"} <= {d[0] for d in deeds}, "every kind of change is in the audit", deeds)
    check("host" in {d[2] for d in deeds} and len({d[2] for d in deeds}) >= 2, "the audit says who", deeds)


def a_source_runs_when_a_version_takes_its_config():
    host = reloading.make_host()
    put(host.dropped, "source", "schema")  # nobody is there to refuse it
    serves(host, "source", 9)
    host.workspace("ws", "reloading")
    needs = host.api("GET", "/workspaces/ws/connectors/numbers").json
    equal((needs["state"], needs["error"]), ("needs_you", "property ticket is required"), "a source that cannot run")
    drop_good(host, "source", "2")
    wait_for("it runs with the next version", lambda: answers(host, "source") == 2)


harness.main(reload_while_everything_runs, a_source_runs_when_a_version_takes_its_config)
