"""A noisy workspace has minutes of work waiting for the writers, a quiet one sends a few rows now and then: the quiet one's
rows are stored within a fraction of the time that the noisy one's need, why-slow names the neighbour, but only to those
who may know it. Without turns the quiet one waits for all of it."""
import json
import os
import signal
import time

import harness
from harness import check, equal, say, wait_for

STORES, BODIES, ROWS = 2, 10, 15_000
FEW = 100  # rows of the quiet one, stored a moment ago, which the journal may still hold
BOUND = 0.4  # of the time that the noisy one's rows need
STORE = """  {key}:
    schema:
      type: object
      required: [time, device_id]
      additionalProperties: false
      properties: {{time: {{type: string, format: date-time}}, device_id: {{type: string}}, pressure: {{type: number}}}}
    time: time
    entity: [device_id]
    unique: [device_id, time]
    on_conflict: keep_last
    accept: {{past: any, future: any}}
"""
TEMPLATE = "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: shared, version: 1.0.0}\ndatastores:\n" + "".join(
    STORE.format(key=f"readings{i}") for i in range(STORES))


def body(first, rows):
    return "\n".join(f'{{"time":"{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1767225600 + n))}","device_id":"p{n % 50}",'
                     f'"pressure":{n % 400}}}' for n in range(first, first + rows)).encode()


def make(environment=None):
    host = harness.Host(environment=environment).start()
    (host.folder / "shared.yaml").write_text(TEMPLATE)
    host.apply(host.folder / "shared.yaml")
    for name in ("noisy", "quiet"):
        host.workspace(name, "shared")
        for store in range(STORES):
            host.ingest(name, f"readings{store}", body(0, 10))  # tables, partitions, keys
    return host


def waiting(host):
    return host.api("GET", "/system").json["journal"]["waiting_rows"]


def pile_up(host):
    """Everything that the noisy one has, while the database stands still."""
    pids = [host.postmaster()[0]] + [int(p) for p in open(f"/proc/{host.postmaster()[0]}/task/{host.postmaster()[0]}/children")
                                     .read().split()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for n in range(BODIES):
            for store in range(STORES):
                host.ingest("noisy", f"readings{store}", body(100 + n * ROWS, ROWS), wait=None)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def quiet_beside_noise(host, during=None):
    """Seconds that the quiet one's requests took while the noisy one's rows waited, and how long those needed."""
    pile_up(host)
    began, took, first = time.monotonic(), [], 1000
    while waiting(host) > FEW:
        sent = time.monotonic()
        host.ingest("quiet", "readings0", body(first, 10))
        took.append(time.monotonic() - sent)
        first += 10
        if during and len(took) == 2:
            during()
    return took, time.monotonic() - began


def the_quiet_one_gets_its_turns():
    host = make()
    reader = host.api("POST", "/api-keys", {"name": "reader", "workspace": "quiet", "scopes": ["read:workspace:*"]}).json["key"]
    seen = {}

    def ask():
        seen["admin"] = host.api("GET", "/workspaces/quiet/why-slow").json
        seen["reader"] = host.api("GET", "/workspaces/quiet/why-slow", key=reader).json
        seen["noisy"] = host.api("GET", "/workspaces/noisy/why-slow").json
        seen["table"] = host.cli("why-slow", "quiet").text
        seen["json"] = host.cli_json("why-slow", "quiet")

    took, needed = quiet_beside_noise(host, ask)
    say(f"{len(took)} requests beside the noise, the slowest {max(took):.2f} s; the noise needed {needed:.1f} s")
    check(max(took) <= max(1.0, BOUND * needed), "the quiet one's rows are stored soon", max(took), needed)
    reasons = {r["reason"]: r for r in seen["admin"]["reasons"]}
    check("neighbour" in reasons, "why-slow names the neighbour", seen["admin"])
    equal(reasons["neighbour"]["neighbour"], "noisy", "the neighbour")
    check("noisy" not in json.dumps(seen["reader"]), "nobody learns of a workspace that he may not see", seen["reader"])
    equal([r["neighbour"] for r in seen["reader"]["reasons"] if r["reason"] == "neighbour"], ["another workspace"],
          "what others read")
    check(any(r["reason"] == "own_load" for r in seen["noisy"]["reasons"]), "the noisy one has itself to blame", seen["noisy"])
    check(seen["noisy"]["waiting"]["rows"] > 0, "its rows wait", seen["noisy"])
    check(seen["admin"]["writers"]["share"] < 0.5, "the quiet one's share of the writers' time", seen["admin"])
    check("noisy" in seen["table"] and "writers" in seen["table"], "the table", seen["table"])
    equal(seen["json"]["workspace"], "quiet", "the JSON")
    wait_for("all is stored", lambda: waiting(host) == 0, 60)


def without_turns_it_waits():
    if "PENSTOCK_FAULTS:BOOL=ON" not in (harness.BUILD / "CMakeCache.txt").read_text():
        raise harness.Skipped("this build has no fault hooks")
    took, needed = quiet_beside_noise(make({"PENSTOCK_FAULT": "turns"}))
    say(f"without turns: {len(took)} requests, the slowest {max(took):.2f} s; the noise needed {needed:.1f} s")
    check(max(took) > max(1.0, BOUND * needed), "without turns the quiet one waits for the noisy one", took, needed)


def what_else_holds_rows_up():
    host = make()
    wait_for("nothing is slow at rest", lambda: [r["reason"] for r in host.api("GET", "/workspaces/quiet/why-slow").json[
        "reasons"]] == ["nothing"])
    equal(host.api("GET", "/workspaces/nowhere/why-slow", expect=404).status, 404, "no such workspace")
    host.api("POST", "/workspaces/quiet:pause")
    equal(host.api("GET", "/workspaces/quiet/why-slow").json["reasons"][0]["reason"], "paused", "paused")


# Without turns: by hand (PENSTOCK_WITHOUT=1), since how long the quiet one waits then depends on the machine's speed.
WITHOUT = [without_turns_it_waits] if "PENSTOCK_WITHOUT" in os.environ else []
harness.main(the_quiet_one_gets_its_turns, *WITHOUT, what_else_holds_rows_up)
