"""Collectors that know nothing of us write to a real host: InfluxDB's line protocol over plain HTTP, Debian's collectd,
InfluxDB's own Python client. The last two are used where they are there (`./dev test --interop` brings them): collectd
as installed or unpacked below PENSTOCK_COLLECTD, the client as the module influxdb_client, also out of the folder
PENSTOCK_PYTHON_PACKAGES."""
import gzip
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

import harness
from harness import check, equal, wait_for

HERE = harness.SOURCE / "tests" / "flow"
SECOND = 10**9
T0 = 1767225600  # 2026-01-01T00:00:00Z


def host_with_stores():
    host = harness.Host().start()
    host.apply(HERE / "formats.yaml")
    host.workspace("w", "formats")
    return host


def write(host, body, precision="ns", bucket="w", **more):
    return host.request("POST", f"/api/v2/write?org=o&bucket={bucket}&precision={precision}", body.encode() if isinstance(body, str) else body,
                        type="text/plain; charset=utf-8", key="", headers={"Authorization": f"Token {host.key}", **more})


def dead_letters(host):
    return host.cli_json("deadletter", "list", "-w", "w")["items"]


def line_protocol():
    """One body, three measurements, one of them unknown: what is good is stored, what is not is a dead letter, the books
    balance."""
    host = host_with_stores()
    equal(write(host, f"pump,device=a pressure=1.5,count=3i,running=t {T0}\ncpu,host=x usage=5 {T0}\n", "s").status, 204, "write")
    body = f"pump,device=b pressure=2 {T0 + 1}000\ncpu,host=y usage=6i,note=\"a\nb\" {T0 + 1}000\n" + \
        f"memory,host=x used=1 {T0}000\npump,device=b pressure=x {T0}000\npump,device=b pressure=3 {T0 + 2}000\n"
    answer = write(host, gzip.compress(body.encode()), "ms", **{"Content-Encoding": "gzip", "Idempotency-Key": "one"})
    equal(answer.status, 400, "a partial write")
    equal((answer.json["code"], answer.json["line"]), ("invalid", 4), "the first bad line")
    again = write(host, gzip.compress(body.encode(), mtime=0), "ms", **{"Content-Encoding": "gzip", "Idempotency-Key": "one"})
    equal(again.headers["Idempotency-Replayed"], "true", "the same again")
    wait_for("the rows are stored",
             lambda: len(host.rows("w", "datastore:pump")) == 3 and len(host.rows("w", "datastore:cpu")) == 2)
    rows = host.rows("w", "datastore:pump")
    equal([(r["device"], r["pressure"], r["time"]) for r in rows],
          [("a", 1.5, "2026-01-01T00:00:00Z"), ("b", 2, "2026-01-01T00:00:01Z"), ("b", 3, "2026-01-01T00:00:02Z")], "pump")
    equal((rows[0]["count"], rows[0]["running"]), (3, True), "types")
    letters = wait_for("two dead letters", lambda: (lambda found: len(found) == 2 and found)(dead_letters(host)))
    equal(sorted((l["store"], l["code"]) for l in letters), [("_unknown", "unknown_store"), ("pump", "bad_value")], "dead letters")
    books = {r["store"]: r for r in host.cli_json("ledger", "show", "-w", "w")["items"]}
    for store, received, stored, rejected in (("pump", 4, 3, 1), ("cpu", 2, 2, 0), ("_unknown", 1, 0, 1)):
        equal([books[store][k] for k in ("received", "stored", "rejected")], [received, stored, rejected], f"ledger of {store}")
    equal(host.request("GET", "/ping", key="").status, 204, "ping")
    equal(host.request("GET", "/health", key="").json["status"], "pass", "health")
    lines = "".join(f"pump,device=c count={i}i {T0 + i}\n" for i in range(1000))
    host.cli("ingest", "pump", "-", "-w", "w", "--format", "lp", "--precision", "s", "--wait", "stored", stdin=lines)
    equal(sorted(r["count"] for r in host.rows("w", "datastore:pump") if r["device"] == "c"), list(range(1000)), "by the CLI")


def collectd_root():
    for root in (os.environ.get("PENSTOCK_COLLECTD"), "/"):
        if root and (pathlib.Path(root) / "usr/sbin/collectd").exists():
            return pathlib.Path(root)
    raise harness.Skipped("collectd is not there; ./dev test --interop brings it")


def collectd_config(root, folder, port, key, command):
    form = "Command" if command else "JSON"
    query = "format=putval" if command else "format=collectd-json"
    text = f"""
Hostname "probe"
FQDNLookup false
Interval 1
BaseDir "{folder}"
PIDFile "{folder}/pid"
PluginDir "{root}/usr/lib/collectd"
TypesDB "{root}/usr/share/collectd/types.db"
LoadPlugin load
LoadPlugin memory
LoadPlugin write_http
<Plugin write_http>
  <Node "penstock">
    URL "http://127.0.0.1:{port}/api/v1/workspaces/w/datastores/collectd/rows?{query}"
    User "penstock"
    Password "{key}"
    Format "{form}"
    BufferSize 1024
  </Node>
</Plugin>
"""
    (folder / "collectd.conf").write_text(text)
    return folder / "collectd.conf"


def run_collectd(host, root, command, arrived):
    """As its own manual says: a Node with URL, User, Password, Format. Ends when `arrived` answers something."""
    with tempfile.TemporaryDirectory() as name:
        config = collectd_config(root, pathlib.Path(name), host.port, host.key, command)
        more = {"LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu"} if str(root) != "/" else {}
        daemon = subprocess.Popen([root / "usr/sbin/collectd", "-f", "-C", config], env={**os.environ, **more},
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            found = wait_for("collectd's rows are stored", lambda: daemon.poll() is not None or arrived())
        finally:
            daemon.terminate()
            said = daemon.communicate(timeout=20)[0].decode("utf-8", "replace")
    check(found is not True and "error" not in said.lower(), "collectd had no errors", said)
    return found


def collectd_daemon():
    root = collectd_root()
    host = host_with_stores()
    for command, names in ((False, {"shortterm", "midterm", "longterm"}), (True, {"0", "1", "2"})):
        def arrived():
            rows = [r for r in host.rows("w", "datastore:collectd") if r["plugin"] == "load" and r["ds"] in names]
            return rows if {r["ds"] for r in rows} == names else []

        found = run_collectd(host, root, command, arrived)
        equal({r["ds"] for r in found}, names, "the load's data sources")
        check(all(r["host"] == "probe" and r["type"] == "load" and r["value"] is not None for r in found), "rows as they should be", found)
    wait_for("the memory plugin's instances", lambda: {"used", "free", "cached"} <= {
        r["type_instance"] for r in host.rows("w", "datastore:collectd") if r["plugin"] == "memory"})
    equal(dead_letters(host), [], "no dead letters")


def influxdb_client():
    if os.environ.get("PENSTOCK_PYTHON_PACKAGES"):
        sys.path.append(os.environ["PENSTOCK_PYTHON_PACKAGES"])
    if not importlib.util.find_spec("influxdb_client"):
        raise harness.Skipped("the Python module influxdb_client is not there; ./dev test --interop brings it")
    from influxdb_client import InfluxDBClient, Point
    from influxdb_client.client.write_api import SYNCHRONOUS
    from influxdb_client.rest import ApiException
    host = host_with_stores()
    with InfluxDBClient(url=host.url, token=host.key, org="o", enable_gzip=True) as client:
        check(client.ping(), "the client's ping")
        api = client.write_api(write_options=SYNCHRONOUS)
        api.write("w", record=[Point("pump").tag("device", "a b,c=d").field("pressure", 1.5).field("count", 2).field("running", True)
                               .time(T0 * SECOND), Point("cpu").field("note", 'say "hi"\\\n').time(T0 * SECOND)])
        try:
            api.write("w", record="pump,device=a pressure=\"x\"")
            check(False, "a bad line is an error of the client")
        except ApiException as error:
            equal(error.status, 400, "its status")
            check("nothing was written" in str(error.body), "its message", error.body)
    row = wait_for("the point is stored", lambda: host.rows("w", "datastore:pump"))[0]
    equal([row[k] for k in ("device", "pressure", "count", "running")], ["a b,c=d", 1.5, 2, True], "the point")


harness.main(line_protocol, collectd_daemon, influxdb_client)
