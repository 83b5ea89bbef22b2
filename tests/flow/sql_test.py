"""PostgreSQL as a source, from a cluster of the test's own. No row is lost and none is there twice, over kills of the host,
killed backends and restarts of the server, with many rows of one value and with rows that are committed late; the
connector's state is right within seconds and says why."""
import json

import harness
import pems as certificate
import postgres_peer
from harness import check, equal, say, wait_for
from mqtt_peer import WS, wait_state  # whatever the source: a connector's state in this workspace

TEMPLATE = harness.SOURCE / "tests" / "flow" / "sql.yaml"
PLUGIN = "org.penstock.connector.sql"
FIRST = "2026-03-01"


def entry(peer, into="datastore:once", paused=False, **config):
    settings = {"address": peer.address, "database": "shop", "user": postgres_peer.READER, "password": "word", "every_s": 1, **config}
    return {"plugin": PLUGIN, "config": {k: v for k, v in settings.items() if v is not None}, "into": into, "paused": paused}


def begin(host, word=postgres_peer.READERS_PASSWORD, secrets=(), **connectors):
    path = host.folder / "sql.yaml"
    path.write_text(TEMPLATE.read_text() + "".join(f"  {n}: {json.dumps(e)}\n" for n, e in connectors.items()))
    host.apply(path)
    host.workspace(WS, "tables")
    for name, value in {"word": word, **dict(secrets)}.items():
        host.cli("secret", "set", name, "-w", WS, "--file", "-", stdin=value)


def stored(host, store="once"):
    return sorted(int(r[0]) for r in host.sql(f"SELECT id FROM datastore.{store}_wid1"))


def all_of(host, n, store="once", timeout=30):
    wait_for(f"all {n} rows are in {store}", lambda: len(set(stored(host, store))) >= n, timeout)
    rows = stored(host, store)
    equal(len(rows), len(set(rows)), f"rows of {store} that are there twice")
    equal(rows, list(range(1, n + 1)), f"rows of {store}")


def add(peer, count, at="clock_timestamp()", table="readings"):
    peer.sql(f"INSERT INTO {table} (at, device, value) SELECT {at}, 'd' || n % 3, n / 2.0 FROM generate_series(1, {count}) n", "shop")


def readings(peer, table="readings", kind="timestamptz"):
    peer.sql(f"CREATE TABLE {table} (id bigserial PRIMARY KEY, at {kind} NOT NULL, device text, value float)", "shop")


def once_only():
    """Kills of the host at any moment, killed backends, a restart of the server; values that many rows share."""
    peer = postgres_peer.Postgres().start().with_reader()
    readings(peer)
    add(peer, 3000)
    add(peer, 5000, f"'{FIRST}'::timestamptz + interval '400 days'")  # far more of one value than are remembered
    host = harness.Host(settings=("--plugins-deadline-read", "10000")).start()
    begin(host, main=entry(peer, table="readings", cursor="at", key=["id"]))
    count = 8000
    for _ in range(3):
        add(peer, 4000, f"'{FIRST}'::timestamptz + interval '401 days' + n * interval '1 s'" if count == 8000 else
            f"'{FIRST}'::timestamptz + interval '{count} days' + (n / 7) * interval '1 s'")
        count += 4000
        host.kill()
        host.start()
        peer.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penstock'")
    all_of(host, count)
    peer.stop()
    wait_state(host, "main", "down", "127.0.0.1")
    peer.start()
    add(peer, 10, f"'{FIRST}'::timestamptz + interval '{count} days' + interval '1 year'")
    wait_state(host, "main", "ok")
    all_of(host, count + 10)
    for _ in range(3):  # one value, again and again: those that are known do not come twice
        add(peer, 5, f"'{FIRST}'::timestamptz + interval '{count} days' + interval '1 year'")
    all_of(host, count + 25)
    equal(peer.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock' AND xact_start IS NOT NULL "
                   "AND state = 'idle in transaction'")[0][0], "0", "transactions that are left open")
    say(f"{count + 25} rows, 3 kills of the host, 3 of the backend, 1 restart of the server")


def late_commits():
    """What is committed behind the newest value is found within the overlap, and the store's key keeps the others once."""
    peer = postgres_peer.Postgres().start().with_reader()
    readings(peer)
    host = harness.Host().start()
    begin(host, late=entry(peer, "datastore:keyed", table="public.readings", cursor="at", key=["id"], overlap=600),
          whole=entry(peer, table="readings", every_s=0), later=entry(peer, table="nothing_yet", cursor="at", paused=True))
    add(peer, 100, f"'{FIRST}'::timestamptz + n * interval '1 s'")
    wait_for("the first rows", lambda: len(stored(host, "keyed")) == 100)
    add(peer, 50, f"'{FIRST}'::timestamptz - n * interval '1 s'")
    wait_for("the late ones", lambda: len(stored(host, "keyed")) == 150)
    equal(stored(host, "keyed"), list(range(1, 151)), "each once")
    def ended():
        return host.log().count("source=connector:whole state=ended")
    wait_for("all was read once", ended)
    n = len(stored(host))
    host.stop()
    host.start()
    wait_for("it is still ended", lambda: ended() == 2)
    equal(len(stored(host)), n, "what was read once is not read again")


KINDS = """
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE DOMAIN grade AS int;
CREATE TABLE kinds (id grade PRIMARY KEY, tz timestamptz NOT NULL, plain timestamp, day date, exact numeric(20, 4), single real,
                    yes boolean, who uuid, doc jsonb, mood mood, words varchar(40));
INSERT INTO kinds VALUES
 (1, '2026-03-29 00:59:59.123456+00', '2026-07-01 12:00:00', '2026-02-28', 12345678901.25, 0.5, true,
  '01234567-89ab-cdef-0123-456789abcdef', '{"a": [1, "ü"]}', 'wild', 'it''s ü'),
 (2, '2026-03-29 01:00:00+00', '2026-01-01 12:00:00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (3, '2026-03-29 01:00:01+00', '2026-10-25 02:30:00', '0001-01-01', 'NaN', 'Infinity', false, NULL, '3', NULL, ''),
 (4, '2026-03-29 01:00:02+00', NULL, 'infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (5, '2026-03-29 01:00:03+00', '0044-03-15 12:00:00 BC', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (6, '2026-03-29 01:00:04+00', NULL, NULL, NULL, NULL, NULL, NULL, to_json(repeat('x', 3000)), NULL, NULL);
CREATE TABLE lists (id int PRIMARY KEY, tz timestamptz NOT NULL, tags text[]);
"""


def kinds():
    """Every type, the zone of times without one, what no row can hold; discover and check; a query with parameters."""
    peer = postgres_peer.Postgres().start().with_reader()
    peer.sql(KINDS, "shop")
    host = harness.Host().start()
    begin(host, kinds=entry(peer, "datastore:kinds", table="kinds", cursor="tz", key=["id"], timezone="Europe/Berlin", max_row_bytes=2048),
          lists=entry(peer, "datastore:kinds", table="lists", paused=True), all=entry(peer, paused=True),
          asked=entry(peer, "datastore:kinds", paused=True, cursor="tz", key=["id"],
                      query="SELECT id, tz, words FROM kinds WHERE words = $1 ORDER BY words; ", parameters=["it's ü"]),
          wrong=entry(peer, "datastore:kinds", paused=True, query="SELECT nothing FROM kinds"),
          writes=entry(peer, "datastore:kinds", paused=True, query="INSERT INTO kinds (id, tz) VALUES (9, now()) RETURNING id, tz"),
          odd=entry(peer, "datastore:kinds", paused=True, table="kinds", cursor="moment"))
    wait_for("the rows are there", lambda: len(stored(host, "kinds")) == 3 and len(letters(host)) == 3)
    one, two, three = sorted(host.rows(WS, "datastore:kinds"), key=lambda r: r["id"])
    equal({k: one[k] for k in ("plain", "day", "exact", "single", "yes", "who", "doc", "mood", "words")},
          {"plain": "2026-07-01T10:00:00Z", "day": "2026-02-28", "exact": 12345678901.25, "single": 0.5, "yes": True,
           "who": "01234567-89ab-cdef-0123-456789abcdef", "doc": {"a": [1, "ü"]}, "mood": "wild", "words": "it's ü"}, "the types")
    equal((one["tz"], two["plain"], three["plain"], three["words"]),
          ("2026-03-29T00:59:59.123456Z", "2026-01-01T11:00:00Z", "2026-10-25T00:30:00Z", ""), "times and the zone's clock")
    check(all(v is None for k, v in two.items() if k in ("day", "exact", "single", "yes", "who", "mood", "words")), "nulls", two)
    equal(letters(host), ["it is no date of the years 0001 to 9999", "it is no time of the years 0001 to 9999",
                          "the row is longer than max_row_bytes"], "what no row can hold")

    shown = host.api("POST", f"/workspaces/{WS}/connectors/asked:check").json
    equal([r["row"]["id"] for r in shown["rows"]], [1], "a query with a parameter")
    for name, where, reason in (("lists", "/table", "text[]"), ("wrong", "/query", "nothing"), ("odd", "/cursor", "moment"),
                                ("writes", "/query", "")):
        said = host.cli("connector", "check", name, "-w", WS, code=7).errors
        check(reason in said and where in said, f"check of {name}: {reason}", said)
    equal(peer.sql("SELECT count(*) FROM kinds", "shop")[0][0], "6", "nothing was written")

    found = host.api("POST", f"/workspaces/{WS}/connectors/all:discover").json
    streams = {s["stream"]: s for s in found["streams"]}
    equal(sorted(streams), ["public.kinds", "public.lists"], "the tables")
    equal(streams["public.kinds"]["schema"]["required"], ["id", "tz"], "what is never null")
    check('"cursor":"tz","key":["id"]' in found["yaml"] and 'unique: ["id","tz"]' in found["yaml"] and 'time: "tz"' in found["yaml"],
          "what grows, and the key", found["yaml"])


def letters(host):
    return sorted(r[0] for r in host.sql("SELECT detail FROM penstock.dead_letter_wid1"))


def states():
    """Each way in which a server may not answer as it should is named within seconds, and passes by itself."""
    pems = certificate.make(harness.folder())
    peer, safe = postgres_peer.Postgres().start().with_reader(), postgres_peer.Postgres(pems).start().with_reader()
    for p in (peer, safe):
        readings(p)
        add(p, 5)
    safe.sql("CREATE USER client; GRANT SELECT ON readings TO client", "shop")
    peer.sql("CREATE VIEW slow AS SELECT r.* FROM readings r, LATERAL (SELECT pg_sleep(4)) s; GRANT SELECT ON slow TO reader", "shop")
    common = {"table": "readings", "cursor": "at", "key": ["id"]}
    ca, away = {"pem": (pems / "ca.pem").read_text()}, f"127.0.0.1:{postgres_peer.free_port()}"
    ours = {"certificate": {"pem": (pems / "client.pem").read_text()}, "key": {"secret": "client_key"}}
    host = harness.Host().start()
    begin(host, secrets={"bad": "wr0ng-word", "client_key": (pems / "client.key").read_text()}.items(),
          well=entry(peer, **common), away=entry(peer, **{**common, "address": away}),
          stranger=entry(peer, **common, password="bad"), nobody=entry(peer, **common, password=None),
          elsewhere=entry(peer, **{**common, "database": "attic"}), gone=entry(peer, table="attic", cursor="at"),
          slow=entry(peer, table="slow", cursor="at", statement_timeout_ms=10000, every_s=30),
          hasty=entry(peer, table="slow", cursor="at", statement_timeout_ms=500),
          plain=entry(safe, **common), untrusted=entry(safe, **common, tls={}), secure=entry(safe, **common, tls={"ca": ca}),
          certain=entry(safe, **common, user="client", password=None, tls={"ca": ca, **ours}))
    wait_state(host, "slow", "degraded", "waiting for the answer to the query")
    for name, state, reason in (("well", "ok", ""), ("secure", "ok", ""), ("certain", "ok", ""), ("away", "down", "Connection refused"),
                                ("stranger", "needs_you", "password authentication failed"), ("nobody", "needs_you", "password"),
                                ("elsewhere", "needs_you", "attic"), ("gone", "needs_you", "attic"), ("hasty", "down", "statement timeout"),
                                ("plain", "needs_you", "pg_hba.conf"), ("untrusted", "needs_you", "certificate")):
        wait_state(host, name, state, reason)
    check("wr0ng-word" not in host.log(), "no secret is in the log")
    check("opening /etc/passwd" not in host.log(), "it looks for no file of the machine")
    peer.freeze()
    wait_state(host, "well", "down", "does not answer")
    peer.freeze(False)
    wait_state(host, "well", "ok")
    host.cli("secret", "set", "bad", "-w", WS, "--file", "-", stdin=postgres_peer.READERS_PASSWORD)
    wait_state(host, "stranger", "ok")
    code, seconds = host.stop()
    check(seconds < harness.STOP_S, f"stopping took {seconds:.1f} s")


if __name__ == "__main__":
    harness.main(once_only, late_commits, kinds, states)
