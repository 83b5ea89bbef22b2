"""A workspace that changes while it lives: its secrets, its own local layer, an additive and a refused
version of its template; and a second workspace of the same template that shares nothing with it."""
import re

from harness import Host, check, equal, main

VALUE = "s3cr3t-that-nobody-logs"
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: small, version: {version}, title: Small}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties: {{time: {{type: string, format: date-time}}, device: {{type: string}}, value: {{type: {value}}}{more}}}
    time: time
    unique: [device, time]
    accept: {{past: any, future: any}}
metrics:
  latest: {{value: value, sql: "SELECT value FROM datastore:readings ORDER BY time DESC LIMIT 1"}}
{metrics}
"""
LOCAL = """apiVersion: penstock/v1
kind: LocalLayer
notifiers:
  hook: {{plugin: org.penstock.notifier.webhook, config: {{url: "{url}", secret: hook_key}}}}
alerts:
  high: {{metric: latest, clock: data, condition: {{fire_at: "> 9"}}, notify_horizon: off, severity: warning, notify: [hook]}}
"""


def apply(host, version, value="number", more="", metrics="", code=0, words=()):
    path = host.folder / "small.yaml"
    path.write_text(TEMPLATE.format(version=version, value=value, more=more, metrics=metrics))
    return host.cli("template", "apply", "-f", path, "--yes", *words, code=code)


def a_workspace_changes_while_it_lives():
    host = Host().start()
    apply(host, "1.0.0")
    for name in ("one", "two"):
        host.workspace(name, "small")
    host.cli("secret", "set", "hook_key", "-w", "one", stdin=VALUE)
    check("hook_key" in host.cli("secret", "list", "-w", "one").text, "the secret is listed")
    equal(host.cli_json("secret", "list", "-w", "two")["items"], [], "secrets of the other workspace")

    old = host.api("GET", "/workspaces/one/local")
    host.api("PUT", "/workspaces/one/local", LOCAL.format(url="http://127.0.0.1:1/hook").encode(), type="application/yaml",
             headers={"If-Match": old.headers["ETag"]})
    host.ingest("one", "readings", [{"time": "2026-01-01T00:00:00Z", "device": "a", "value": 10}])
    host.ingest("two", "readings", [{"time": "2026-01-01T00:00:00Z", "device": "b", "value": 10}])
    check("hook" in host.cli("notifier", "list", "-w", "one").text, "the notifier of the local layer")
    apply(host, "1.1.0", more=", unit: {type: string}", metrics='  devices: {sql: "SELECT DISTINCT device FROM datastore:readings"}',
          words=("--all",))
    host.ingest("one", "readings", [{"time": "2026-01-01T00:01:00Z", "device": "a", "value": 1, "unit": "bar"}])
    equal([r.get("unit") for r in host.rows("one", "datastore:readings")], [None, "bar"], "the new column")
    equal(host.metric("one", "devices"), [{"device": "a"}], "the new metric")
    equal(host.metric("two", "devices"), [{"device": "b"}], "the new metric of the other workspace")
    refused = apply(host, "1.2.0", value="string", more=", unit: {type: string}", words=("--all",), code=None)
    check(refused.returncode in (6, 7), "a changed type is refused", refused.returncode, refused.errors)
    equal(len(host.rows("one", "datastore:readings")), 2, "rows after the refusal")

    nothing_is_shared(host)
    host.cli("secret", "delete", "hook_key", "-w", "one")
    equal(host.cli_json("secret", "list", "-w", "one")["items"], [], "secrets after the deletion")
    check(VALUE not in host.log(), "the secret's value is in no log")


def nothing_is_shared(host):
    """One workspace's login cannot read the other's tables."""
    tables = [t for [t] in host.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'datastore' ORDER BY 1")
              if re.fullmatch(r"readings_wid\d+", t)]
    equal(len(tables), 2, "a table for each workspace")
    for table in tables:
        for other in tables:
            wid = re.search(r"\d+$", other)[0]
            [[role]] = host.sql(f"SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname ~ '^penstock_.*_wid{wid}$'")
            [[may]] = host.sql(f"SELECT has_table_privilege('{role}', 'datastore.{table}', 'SELECT')")
            equal(may, "t" if table == other else "f", f"{role} may read {table}")


if __name__ == "__main__":
    main(a_workspace_changes_while_it_lives)
