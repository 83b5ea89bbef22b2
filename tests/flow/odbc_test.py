"""The connector odbc over Debian's driver for PostgreSQL: what it shares with sql holds here too, and what goes wrong is named."""
import json
import pathlib

import harness
import postgres_peer
import sql_test
from harness import check, equal, wait_for
from mqtt_peer import WS, wait_state

DRIVER = pathlib.Path("/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so")


def there():
    return DRIVER.exists() and (harness.PLUGINS / "connectors" / "odbc.so").exists()


def entry(peer, into="datastore:once", connection=(), **config):
    connection = {"Servername": "{host}", "Port": "{port}", "Database": "shop", "ReadOnly": "1", "UseDeclareFetch": "1", "Fetch": "500",
                  **dict(connection)}
    paused = config.pop("paused", False)
    settings = {"driver": str(DRIVER), "address": peer.address, "connection": connection, "user": postgres_peer.READER,
                "password": "word", "every_s": 1, **config}
    return {"plugin": "org.penstock.connector.odbc", "config": settings, "into": into, "paused": paused}


def reads():
    """Every row once over kills of the host and a restart of the server; types; discover; states."""
    if not there():
        raise harness.Skipped("unixodbc-dev or odbc-postgresql is not installed")
    peer = postgres_peer.Postgres().start().with_reader()
    sql_test.readings(peer, kind="timestamp")
    peer.sql(sql_test.KINDS, "shop")
    sql_test.add(peer, 3000, "'2026-07-01 12:00:00'")
    common = {"table": "readings", "cursor": "at", "key": ["id"], "timezone": "Europe/Berlin"}
    host = harness.Host().start()
    sql_test.begin(host, secrets={"bad": "wr0ng-word"}.items(), main=entry(peer, **common), stranger=entry(peer, **common, password="bad"),
                   gone=entry(peer, table="attic"), away=entry(peer, **{**common, "address": f"127.0.0.1:{postgres_peer.free_port()}"}),
                   kinds=entry(peer, "datastore:kinds", query="SELECT id, tz, plain, day, exact, single, words FROM kinds WHERE id < ? ORDER BY id",
                               parameters=["3"], every_s=60), every=entry(peer, paused=True))
    count = 3000
    for _ in range(2):
        sql_test.add(peer, 2000, f"'2026-07-01 12:00:00'::timestamp + interval '{count} s' + n / 7 * interval '1 s'")
        count += 2000
        host.kill()
        host.start()
    sql_test.all_of(host, count)
    first = host.sql("SELECT min(at) AT TIME ZONE 'UTC' FROM datastore.once_wid1")[0][0]
    equal(first, "2026-07-01 10:00:00", "the zone's clock")
    one = wait_for("the types", lambda: sorted(host.rows(WS, "datastore:kinds"), key=lambda r: r["id"]))[0]
    equal((one["day"], one["exact"], one["single"], one["words"]), ("2026-02-28", 12345678901.25, 0.5, "it's ü"), "values")
    for name, expected, reason in (("main", "ok", ""), ("stranger", "needs_you", "password"), ("gone", "needs_you", "attic"),
                                   ("away", "down", "")):
        wait_state(host, name, expected, reason)
    check("wr0ng-word" not in host.log(), "no secret is in the log")
    found = host.api("POST", f"/workspaces/{WS}/connectors/every:discover").json
    equal(sorted(s["stream"] for s in found["streams"]), ["public.kinds", "public.lists", "public.readings"], "the tables")
    check(json.dumps({"table": "public.readings", "cursor": "at", "key": ["id"]}, separators=(",", ":")) in found["yaml"], "what grows", found["yaml"])
    peer.stop()
    wait_state(host, "main", "down")
    peer.start()
    wait_state(host, "main", "ok")


if __name__ == "__main__":
    harness.main(reads)
