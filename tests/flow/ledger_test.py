"""A ledger that does not balance raises the alarm (log, status, /metrics, `penstock status`), which ends when it balances again;
minutes older than 48 hours become hours."""
import re

import harness
from harness import check, equal, wait_for

HERE = harness.SOURCE / "tests" / "flow"
ROW = {"ts": "2026-03-28T18:00:00Z", "series": "a"}


def metric(host, name, **labels):
    for line in host.request("GET", "/metrics", admin=True).text.splitlines():
        if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
            return float(line.split()[-1])
    return None


def wrong(host):
    return metric(host, "penstock_ledger_wrong", workspace="w")


def alarm():
    host = harness.Host(settings=["--ledger-every", "100ms"]).start()
    host.apply(HERE / "rollup.yaml")
    host.workspace("w", "rollup")
    host.workspace("other", "rollup")
    host.ingest("w", "events", [ROW, {**ROW, "series": "b"}, {"ts": "never"}])
    wait_for("it is looked at", lambda: wrong(host) == 0)
    equal(host.api("GET", "/workspaces/w/status").json["ledger"], {"balanced": True}, "its status")
    booked = {o: metric(host, "penstock_ledger_rows_total", workspace="w", outcome=o) for o in
              ("received", "stored", "duplicate", "rejected", "dropped")}
    equal(booked, {"received": 3, "stored": 2, "duplicate": 0, "rejected": 1, "dropped": 0}, "what this host booked")

    keeper = host.sql("SELECT min(keeper) FROM penstock.ledger_wid1 WHERE store = 'events'")[0][0]  # each has a row
    host.sql(f"UPDATE penstock.ledger_wid1 SET stored = stored - 1 WHERE store = 'events' AND keeper = {keeper}")
    wait_for("the alarm", lambda: wrong(host) == 1)
    found = host.api("GET", "/workspaces/w/status").json["ledger"]
    equal((found["balanced"], found["store"], found["difference"], found["minutes"]), (False, "events", 1, 1), "its status")
    check("does NOT balance" in host.cli("status", "-w", "w").text, "`penstock status` says so", host.cli("status", "-w", "w").text)
    equal(host.api("GET", "/system").json["ledgers_wrong"], 1, "of the host")
    equal([i["balanced"] for i in host.cli_json("ledger", "show", "-w", "w")["items"]], [False], "`penstock ledger show`")
    equal(host.api("GET", "/workspaces/other/status").json["ledger"], {"balanced": True}, "the other workspace")
    check("level=error part=ledger" in host.log() and "difference=1" in host.log(), "it is in the log")

    host.sql(f"UPDATE penstock.ledger_wid1 SET stored = stored + 1 WHERE store = 'events' AND keeper = {keeper}")
    wait_for("the end of the alarm", lambda: wrong(host) == 0)
    equal(host.api("GET", "/system").json["ledgers_wrong"], 0, "of the host")
    equal(len(re.findall("the ledger does not balance", host.log())), 1, "said once")
    check("balances again" in host.log(), "its end is in the log")


def hours():
    host = harness.Host(settings=["--ledger-every", "100ms"]).start()
    host.apply(HERE / "rollup.yaml")
    host.workspace("w", "rollup")
    host.sql("INSERT INTO penstock.ledger_wid1 (store, minute, keeper, received, stored, rejected, letters) SELECT 'events', at, k, "
             "3 - k, 2 - k, 1, 1 FROM generate_series(0, 1) k, generate_series(date_trunc('hour', now()) - interval '52 hours', date_trunc('minute', now()), '1 minute') at")
    before = host.sql("SELECT sum(received), sum(stored), sum(rejected), sum(letters) FROM penstock.ledger_wid1")
    wait_for("old minutes are hours", lambda: host.sql(
        "SELECT count(*) FROM penstock.ledger_wid1 WHERE minute < now() - interval '48 hours 2 minutes' "
        "AND minute <> date_trunc('hour', minute)") == [["0"]])
    equal(host.sql("SELECT sum(received), sum(stored), sum(rejected), sum(letters) FROM penstock.ledger_wid1"), before, "the sums")
    equal(host.sql("SELECT DISTINCT received FROM penstock.ledger_wid1 WHERE minute < now() - interval '50 hours'"), [["300"]],
          "an hour of sixty minutes")
    equal(host.sql("SELECT count(*) FROM penstock.ledger_wid1 WHERE minute > (SELECT max(minute) FROM penstock.ledger_wid1) - "
                   "interval '47 hours'"), [[str(2 * 47 * 60)]],
          "minutes that stay")


harness.main(alarm, hours)
