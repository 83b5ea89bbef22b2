"""A host starts on an empty folder, answers, and ends as it is told to; started again, it has kept what it was given."""
import harness
from harness import check, equal


def life():
    host = harness.Host().start()
    equal(host.request("GET", "/healthz").status, 200, "healthz")
    check("penstock_" in host.request("GET", "/metrics", admin=True).text, "/metrics has figures of ours")
    host.apply(harness.SOURCE / "templates" / "pump-station")
    host.workspace("kept", "pump-station", ops_email="ops@example.org")
    verdict = host.ingest("kept", "sensor_data", [{"time": "2026-11-20T00:00:00Z", "device_id": "p1", "pressure": 7.5}])
    code, seconds = host.stop()
    equal(code, 0, "exit code after SIGTERM")
    check(seconds < harness.STOP_S, f"SIGTERM took {seconds:.1f} s", verdict)
    host.start()
    equal([r["pressure"] for r in host.rows("kept", "datastore:sensor_data") if r["device_id"] == "p1"], [7.5],
          "the row after another start")


harness.main(life)
