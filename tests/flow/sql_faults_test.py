"""What goes wrong between us and a database, for the connectors sql and odbc alike: connections that are cut anywhere, servers that
restart or freeze in the middle of a page, certificates, credentials and rights that are taken away, tables that change under
us, a column that does not grow. No row is lost and none is there twice; the state and its reason are right within 5 s."""
import random

import harness
import odbc_test
import odd_server
import pems as certificate
import postgres_peer
import sql_test
from harness import check, equal, say, wait_for
from mqtt_peer import WS, state, wait_state
from sql_test import FIRST, add, all_of, begin, letters, readings

STORES = {"sql": "once", "odbc": "other"}
ENTRIES = {"sql": sql_test.entry, "odbc": odbc_test.entry}
SEED = 20261121


def each():
    """The ways to a database that this machine has."""
    return [name for name in STORES if name == "sql" or odbc_test.there()]


def of_each(name, peer, into=None, **config):
    """Connector `<way>_<name>` for each way, into a store of its own."""
    return {f"{way}_{name}": ENTRIES[way](peer, f"datastore:{into or STORES[way]}", **config) for way in each()}


def all_ways(host, name, expected, reason="", timeout=5):
    for way in each():
        wait_state(host, f"{way}_{name}", expected, reason, timeout)


def again(host, name):
    """What waits for a person is tried at once by pausing and resuming it."""
    for way in each():
        for do in ("pause", "resume"):
            host.api("POST", f"/workspaces/{WS}/connectors/{way}_{name}:{do}")


class At:
    """A far side that is somewhere else than the server itself."""

    def __init__(self, port):
        self.address = f"127.0.0.1:{port}"


def cuts():
    """Connections that are cut after a few bytes or many, at any place; a server that dies in the middle of a page."""
    peer = postgres_peer.Postgres().start().with_reader()
    readings(peer)
    add(peer, 6000, f"'{FIRST}'::timestamptz + (n / 700) * interval '1 s'")  # ties over the ends of pages
    say(f"seed {SEED}")
    chance = random.Random(SEED)
    relay = odd_server.Relay(peer.port, lambda: chance.choice((100, 2000, 20000, 70000, 150000)))
    common = {"table": "readings", "cursor": "at", "key": ["id"]}
    host = harness.Host().start()
    begin(host, **of_each("main", At(relay.port), **common))

    def cut_often():
        return relay.calls >= 12 * len(each()) or all(len(sql_test.stored(host, STORES[w])) >= 6000 for w in each())
    wait_for("connections were cut", cut_often, 60)
    n = relay.calls
    relay.most = None
    relay.cut_all()
    for way in each():
        all_of(host, 6000, STORES[way])
    relay.hold(100000)
    add(peer, 6000, f"'{FIRST}'::timestamptz + interval '1 day' + (n / 700) * interval '1 s'")
    wait_for("a page is on its way", lambda: relay.held)
    peer.stop(postgres_peer.signal.SIGQUIT)
    relay.go_on()
    all_ways(host, "main", "down")
    peer.start()
    all_ways(host, "main", "ok")
    for way in each():
        all_of(host, 12000, STORES[way])
    say(f"{n} connections, a restart in the middle of a page")


def freezes():
    """A server that stands still: between two pages, in the middle of one, when we come; nonsense, and silence."""
    peer = postgres_peer.Postgres().start().with_reader()
    readings(peer)
    peer.sql("CREATE VIEW slow AS SELECT * FROM readings; GRANT SELECT ON slow TO reader", "shop")
    add(peer, 5)
    common = {"cursor": "at", "key": ["id"]}
    host = harness.Host().start()
    begin(host, **of_each("main", peer, table="readings", **common),
          **of_each("slow", peer, "keyed", table="slow", statement_timeout_ms=3000, **common),
          **of_each("noise", At(odd_server.Noise().port), table="readings"), **of_each("mute", At(odd_server.Mute().port), table="readings"))
    all_ways(host, "main", "ok")
    all_ways(host, "slow", "ok")
    all_ways(host, "noise", "down")
    all_ways(host, "mute", "down", "does not answer" if each() == ["sql"] else "")
    peer.sql("CREATE OR REPLACE VIEW slow AS SELECT r.* FROM readings r, LATERAL (SELECT pg_sleep(2.5 + 0 * r.value)) s", "shop")
    all_ways(host, "slow", "degraded", "waiting for the answer to the query since")
    peer.freeze()
    wait_state(host, "sql_main", "down", "does not answer")
    if "odbc" in each():  # which cannot tell it from a query that takes long, until its time is over
        wait_state(host, "odbc_main", "degraded", "waiting for the answer to the query since")
    all_ways(host, "slow", "down", "longer than statement_timeout_ms")
    peer.freeze(False)
    peer.sql("CREATE OR REPLACE VIEW slow AS SELECT * FROM readings", "shop")
    all_ways(host, "main", "ok")
    all_ways(host, "slow", "ok")
    add(peer, 5)
    for way in each():
        all_of(host, 10, STORES[way])
    check("kills the plugin" not in host.log(), "no record is looked for")


def rights():
    """Certificates, passwords and rights that are taken away while it runs, and given back."""
    pems = certificate.make(harness.folder())
    peer = postgres_peer.Postgres(pems).start().with_reader()
    readings(peer)
    add(peer, 5)
    common = {"table": "readings", "cursor": "at", "key": ["id"]}
    ca = {"pem": (pems / "ca.pem").read_text()}
    entries = {"sql_main": sql_test.entry(peer, tls={"ca": ca}, **common)}
    if "odbc" in each():
        entries["odbc_main"] = odbc_test.entry(peer, "datastore:other", connection={"SSLmode": "require"}, **common)
    host = harness.Host().start()
    begin(host, **entries)
    all_ways(host, "main", "ok")
    for shown, reason in (("expired", "expired"), ("elsewhere", "does not match host name")):
        peer.show(shown)
        wait_state(host, "sql_main", "needs_you", reason)
        peer.show("server")
        again(host, "main")
        all_ways(host, "main", "ok")
    peer.sql(f"ALTER ROLE {postgres_peer.READER} PASSWORD 'another-word'")
    peer.drop()
    all_ways(host, "main", "needs_you", "password")
    host.cli("secret", "set", "word", "-w", WS, "--file", "-", stdin="another-word")
    all_ways(host, "main", "ok")
    peer.sql(f"ALTER ROLE {postgres_peer.READER} VALID UNTIL '2020-01-01'")
    peer.drop()
    all_ways(host, "main", "needs_you", "password")
    peer.sql(f"ALTER ROLE {postgres_peer.READER} VALID UNTIL 'infinity'")
    peer.sql(f"REVOKE SELECT ON readings FROM {postgres_peer.READER}", "shop")
    again(host, "main")
    all_ways(host, "main", "needs_you", "permission denied")
    peer.sql(f"GRANT SELECT ON readings TO {postgres_peer.READER}", "shop")
    add(peer, 5)
    again(host, "main")
    all_ways(host, "main", "ok")
    for way in each():
        all_of(host, 10, STORES[way])
    for word in ("another-word", postgres_peer.READERS_PASSWORD):
        check(word not in host.log(), "no secret is in the log")


def changes():
    """A table that is changed, emptied, dropped and made again while it is read; a column that does not grow."""
    peer = postgres_peer.Postgres().start().with_reader()
    peer.sql("CREATE TABLE readings (id bigserial, at timestamptz, device text, value float)", "shop")
    add(peer, 5, f"'{FIRST}'::timestamptz + n * interval '1 s'")
    host = harness.Host().start()
    begin(host, **of_each("main", peer, query="SELECT * FROM readings", cursor="at", key=["id"]))
    for way in each():
        all_of(host, 5, STORES[way])
    add(peer, 5, "NULL")  # never read
    add(peer, 5, f"'{FIRST}'::timestamptz + interval '1 hour' + n * interval '1 s'")
    ids = [*range(1, 6), *range(11, 16)]
    for way in each():
        wait_for("rows behind those without a time", lambda: sql_test.stored(host, STORES[way]) == ids)
    peer.sql("ALTER TABLE readings DROP COLUMN device; ALTER TABLE readings ADD COLUMN device text DEFAULT 'new'", "shop")
    add(peer, 5, f"'{FIRST}'::timestamptz + interval '2 hours' + n * interval '1 s'")
    ids += range(16, 21)
    for way in each():
        wait_for("rows by the new columns", lambda: sql_test.stored(host, STORES[way]) == ids)
        equal([r["value"] for r in host.rows(WS, f"datastore:{STORES[way]}") if r["id"] > 15], [0.5, 1.0, 1.5, 2.0, 2.5],
              "values of the columns behind one that was dropped")
    equal(letters(host), [], "dead letters")
    peer.sql("TRUNCATE readings", "shop")
    wait_for("two readings of nothing", lambda: all(state(host, f"{w}_main")[0] == "ok" for w in each()))
    add(peer, 5, f"'{FIRST}'::timestamptz + n * interval '1 s'")
    all_ways(host, "main", "degraded", "which is gone, and only rows before it are there")
    add(peer, 5, f"'{FIRST}'::timestamptz + interval '3 hours' + n * interval '1 s'")
    ids += range(26, 31)
    for way in each():
        wait_for("rows beyond it are read", lambda: sql_test.stored(host, STORES[way]) == ids)
    all_ways(host, "main", "ok")
    peer.sql("ALTER TABLE readings ADD COLUMN raw bytea", "shop")
    peer.drop()
    all_ways(host, "main", "needs_you", "raw")
    peer.sql("DROP TABLE readings", "shop")
    again(host, "main")
    all_ways(host, "main", "needs_you", "readings")
    readings(peer)
    add(peer, 5, f"'{FIRST}'::timestamptz + interval '4 hours' + n * interval '1 s'")
    again(host, "main")
    all_ways(host, "main", "ok")
    for way in each():
        wait_for("the rows of the new table", lambda: len(sql_test.stored(host, STORES[way])) == len(ids) + 5)


harness.main(cuts, freezes, rights, changes)
