"""Featurestores of a whole host: days of a zone, a changed definition that is built beside the old rows, a backfill,
a row that comes too late, and retention that keeps what was computed from the rows it removes and says so of each store."""
import datetime

from harness import Host, check, equal, main, wait_for

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: meters, version: {version}}}
datastores:
  readings:
    schema:
      type: object
      required: [time, meter]
      additionalProperties: false
      properties: {{time: {{type: string, format: date-time}}, meter: {{type: string, maxLength: 16}}, total: {{type: number}}}}
    time: time
    entity: [meter]
    unique: [meter, time]
    partition: day
    retention: {retention}
    accept: {{past: any, future: any}}
  notes:
    schema: {{type: object, required: [time], properties: {{time: {{type: string, format: date-time}}}}}}
    time: time
    retention: {retention}
    accept: {{past: any, future: any}}
featurestores:
  hourly:
    from: [datastore:readings]
    bucket: 1h
    key: [bucket, meter]
    refresh: {{every: 1s}}
    horizon: {horizon}
    sql: SELECT penstock.time_bucket(:bucket, time) AS bucket, meter, count(*) AS n, {value} AS used FROM datastore:readings GROUP BY 1, 2
  daily:
    from: [featurestore:hourly]
    bucket: 1d
    timezone: Europe/Berlin
    key: [bucket, meter]
    refresh: {{every: 1s}}
    sql: SELECT penstock.time_bucket(:bucket, bucket, :timezone) AS bucket, meter, sum(n)::bigint AS n, sum(used) AS used FROM featurestore:hourly GROUP BY 1, 2
metrics:
  used: {{labels: [meter], value: used, sql: "SELECT meter, sum(used) AS used FROM featurestore:daily GROUP BY meter ORDER BY meter"}}
"""


def publish(host, version, value="max(total) - min(total)", horizon="any", retention="any", words=()):
    path = host.folder / "meters.yaml"
    path.write_text(TEMPLATE.format(version=version, value=value, horizon=horizon, retention=retention))
    host.cli("template", "apply", "-f", path, "--yes", "--all", *words)


def used(host):
    return [row["used"] for row in host.metric("one", "used")]


def settled(host, what, want):
    wait_for(what, lambda: used(host) == want or None)


def all_built(host):
    wait_for("no build is left", lambda: host.sql("SELECT count(*) FROM penstock.build") == [["0"]] or None)


def retention_notes(host):
    """The stores that show what the last run of retention left of them; a run is shown when it is over."""
    def shown():
        stores = host.cli_json("status", "-w", "one")["workspaces"][0]["stores"]
        return {store["store"] for store in stores if "retention" in store}
    return wait_for("retention is shown", shown)


def days_and_definitions():
    host = Host().start()
    publish(host, "1.0.0")
    host.workspace("one", "meters")
    start = datetime.datetime(2026, 3, 28, 22, 0, tzinfo=datetime.timezone.utc)
    rows = [{"time": (start + datetime.timedelta(minutes=30 * i)).isoformat(), "meter": "m", "total": i} for i in range(100)]
    host.ingest("one", "readings", rows)
    settled(host, "what was used", [50])
    days = [(row["bucket"], row["n"]) for row in host.rows("one", "featurestore:daily")]
    equal(days, [("2026-03-27T23:00:00Z", 2), ("2026-03-28T23:00:00Z", 46), ("2026-03-29T22:00:00Z", 48),
                 ("2026-03-30T22:00:00Z", 4)], "days of Berlin, the second one has 23 hours")

    publish(host, "1.1.0", value="(max(total) - min(total)) * 10")
    settled(host, "the changed definition, and what reads it", [500])
    all_built(host)

    host.sql("UPDATE featurestore.hourly_wid1 SET used = 0")
    host.cli("featurestore", "backfill", "hourly", "--from", "2026-03-28T00:00:00Z", "-w", "one")
    wait_for("the backfill", lambda: host.sql("SELECT sum(used) FROM featurestore.hourly_wid1") == [["500"]] or None)
    equal(used(host), [500], "what was used, after the backfill")
    check("hourly" in host.cli("featurestore", "list", "-w", "one").text, "featurestore list")
    all_built(host)
    refused = host.cli("featurestore", "pause", "hourly", "-w", "one", code=None)
    equal(refused.returncode, 4, "pausing when nothing is built")

    publish(host, "1.2.0", value="(max(total) - min(total)) * 10", horizon="1d")
    host.ingest("one", "readings", [{"time": "2026-03-29T00:10:00Z", "meter": "m", "total": 1000}])
    books = {row["store"]: row for row in host.cli_json("ledger", "show", "-w", "one")["items"]}
    equal(books["featurestore:hourly"]["too_late"], 1, "rows that came too late")
    equal(used(host), [500], "what was used, with a row beyond the horizon")

    publish(host, "1.3.0", value="(max(total) - min(total)) * 10", horizon="1d", retention="7d",
            words=("--destroy",))
    shown = {row["store"]: row for row in host.cli_json("retention", "show", "-w", "one")["items"]}
    check(shown["datastore:readings"]["retention"] in ("7d", "1w"), "the retention", shown)
    host.cli("retention", "run", "-w", "one")
    wait_for("the raw rows are gone", lambda: host.rows("one", "datastore:readings") == [] or None)
    books = {row["store"]: row for row in host.cli_json("ledger", "show", "-w", "one")["items"]}
    equal(books["readings"]["expired"], 101, "rows that retention removed")
    equal(retention_notes(host), {"datastore:readings", "datastore:notes"}, "stores whose status says what retention did")
    equal(used(host), [500], "what was used, without the raw rows")
    publish(host, "1.4.0", value="max(total)", horizon="1d", retention="7d")
    wait_for("the next build", lambda: host.sql("SELECT count(*) FROM penstock.object WHERE key = 'hourly' AND body::text LIKE "
                                                "'%max(total) AS used%'") == [["1"]] or None)
    equal(used(host), [500], "rows whose sources are gone are kept by a build")


if __name__ == "__main__":
    main(days_and_definitions)
