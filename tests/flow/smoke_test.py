"""A host starts on an empty folder, answers, and ends as it is told to; started again, it has kept what it was given."""
import harness
from harness import check, equal


def life():
    host = harness.Host().start()
    equal(host.request("GET", "/healthz").status, 200, "healthz")
    check("penstock_" in host.request("GET", "/metrics", admin=True).text, "/metrics has figures of ours")
    host.apply(harness.SOURCE / "templates" / "pump-station")
    host.workspace("kept", "pump-station", ops_email="ops@example.org")
    verdict = host.ingest("kept", "sensor_data", [{"time": f"2026-11-20T00:{n // 60:02}:{n % 60:02}Z", "device_id": "p1",
                                                   "pressure": n % 9} for n in range(502)])
    code, seconds = host.stop()
    equal(code, 0, "exit code after SIGTERM")
    check(seconds < harness.STOP_S, f"SIGTERM took {seconds:.1f} s", verdict)
    host.start()
    equal([r["pressure"] for r in host.rows("kept", "datastore:sensor_data") if r["device_id"] == "p1"],
          [n % 9 for n in range(502)], "the rows after another start")
    store = next(s for s in host.cli_json("store", "list", "-w", "kept")["items"] if s["store"] == "datastore:sensor_data")
    check(store["newest"] and store["bytes"] > 0, "store list says how the store is", store)
    for limit in (1, 500, 501):
        out = host.cli("store", "rows", "datastore:sensor_data", "-w", "kept", "--limit", str(limit), "-o", "ndjson")
        equal(len(out.text.splitlines()), limit, f"rows of --limit {limit}")
    host.cli("store", "rows", "datastore:sensor_data", "-w", "kept", "--limit", "0", code=2)


harness.main(life)
