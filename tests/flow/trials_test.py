"""A connector is tried before it is saved: check shows the first rows as they would be taken and stores nothing, discover
proposes datastores; secrets stay secret, and who may not change the workspace tries only what is saved."""
import json
import shutil

import harness
from harness import check, equal

SECRET = "token-that-a-plugin-tells"
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: small, version: 1.0.0, title: Small}
datastores:
  rows:
    schema:
      type: object
      required: [time, n]
      additionalProperties: true
      properties:
        time: {type: string, format: date-time}
        n: {type: integer, maximum: 4}
        value: {type: [number, "null"]}
        name: {type: string}
        odd: {type: boolean}
        small: {type: integer}
        day: {type: string, format: date}
        id: {type: string, format: uuid}
        doc: {type: object}
    time: time
    accept: {past: any, future: any}
  lines:
    schema: {type: object, required: [at, n], additionalProperties: false,
             properties: {at: {type: string, format: date-time}, n: {type: integer}, from: {type: string}}}
    time: at
    accept: {past: any, future: any}
connectors:
  kept: {plugin: org.penstock.test.echo-source, config: {rows: 3, one_stream: true}, into: "datastore:rows", paused: true}
"""
LAYER = """
# what the operator wrote
kind: LocalLayer
apiVersion: penstock/v1
datastores:
  odd: {schema: {type: object}}  # stays
connectors:
  plain: {plugin: org.penstock.test.echo-source, config: {rows: 40, one_stream: true}, into: "datastore:rows"}
  away: {plugin: org.penstock.test.echo-source, config: {rows: 1, away: true}, into: "datastore:rows"}
  leaky: {plugin: org.penstock.test.echo-source, config: {rows: 1, leak: true, token: the_token}, into: "datastore:rows"}
  wrong: {plugin: org.penstock.test.echo-source, config: {rows: -1}, into: "datastore:rows"}
  mute: {plugin: org.penstock.test.echo-source, config: {rows: 0, one_stream: true}, into: "datastore:rows"}
  file:
    plugin: org.penstock.connector.csv
    config: {path: lines.ndjson}
    format: ndjson
    decode: {path: "$.list[*]", map: {at: $received, n: .v, from: $.who}}
    into: datastore:lines
  hook: {plugin: org.penstock.connector.webhook, config: {check: none}, format: json, into: "datastore:lines"}
"""


def trials():
    plugins = harness.folder() / "plugins"
    plugins.mkdir(mode=0o755)
    shutil.copy(harness.BUILD / "tests" / "plugins" / "echo_source.so", plugins)
    data = harness.folder() / "data"
    data.mkdir(mode=0o755)
    (data / "lines.ndjson").write_text('{"who":"x","list":[{"v":1},{"v":"?"}]}\n{"who":"y","list":[{"v":3}]}\n{"who":"z"}\n')
    host = harness.Host(plugins=[harness.PLUGINS, plugins], settings=("--files.allow", str(data))).start()
    template, layer = host.folder / "t.yaml", host.folder / "layer.yaml"
    template.write_text(TEMPLATE)
    layer.write_text(LAYER)
    host.apply(template)
    host.workspace("w", "small")
    host.cli("secret", "set", "the_token", "-w", "w", stdin=SECRET)

    def tried(key, code=0):
        out = host.cli("connector", "check", key, "-f", layer, "-w", "w", "-o", "json", code=code)
        return json.loads(out.text) if out.text else out.errors

    found = tried("plain", code=9)
    equal([r["row"]["n"] for r in found["rows"]][:5], [0, 1, 2, 3, 4], "the first rows")
    check(found["rejects"] and found["rejects"][0]["code"] == "maximum", "rows that would be refused", found)
    equal(found["checked"], True, "the plugin's own check")

    found = tried("file", code=9)
    equal([(r["row"]["n"], r["row"]["from"]) for r in found["rows"]], [(1, "x"), (3, "y")], "decoded rows")
    equal(sorted(r["code"] for r in found["rejects"]), ["path", "type"], "what is no row")
    equal(tried("mute")["note"], "it is reached, and has no rows now", "a silent source")
    equal(tried("hook")["note"], "it takes requests: there is nothing to read", "a hook")

    check("the far side is away" in tried("away", code=7), "a far side that is away")
    check("/config" in tried("wrong", code=7) or "rows" in tried("wrong", code=7), "a wrong setting")
    leaked = tried("leaky", code=7)
    check("refused with the token ***" in leaked and SECRET not in leaked, "an error without the secret", leaked)

    for store in ("rows", "lines"):
        equal(host.rows("w", f"datastore:{store}"), [], f"stored in {store}")
    equal(len(host.api("GET", "/workspaces/w/dead-letters").json["items"]), 0, "dead letters")
    equal(host.sql("SELECT count(*) FROM control.plugin_state", database="penstock_control")[0][0], "0", "state")

    equal(host.cli_json("connector", "check", "kept", "-w", "w")["rows"][2]["row"]["n"], 2, "one that is saved")
    runner = host.api("POST", "/api-keys", {"name": "run", "workspace": "w", "scopes": ["read,run:connector:*"]}).json["key"]
    equal(host.request("POST", "/api/v1/workspaces/w/connectors/kept:check", key=runner).status, 200, "who may run it")
    body = {"plugin": "org.penstock.test.echo-source", "config": {"token": "the_token"}}
    equal(host.request("POST", "/api/v1/workspaces/w/connectors:check", body, key=runner).status, 403, "and not another")
    equal(host.request("POST", "/api/v1/workspaces/w/connectors:check", {"plugin": "org.example.none"}).status, 422, "no such plugin")

    yaml = host.cli("connector", "discover", "plain", "-f", layer, "-w", "w").text
    check("\n  odd:\n" in yaml and "\n  odd_2:\n" in yaml and "# silent: no example" in yaml, "a datastore a stream", yaml)
    out = host.cli("connector", "discover", "plain", "-f", layer, "--write", layer, "-w", "w")
    check("1 datastore added" in out.errors, "the other one stands there", out.errors)
    merged = layer.read_text()
    check("# what the operator wrote" in merged and "# stays" in merged and merged.count("  odd:") == 1, "the file", merged)
    check("0 datastores added" in host.cli("connector", "discover", "plain", "-f", layer, "--write", layer, "-w", "w").errors, "again")
    fresh = host.folder / "fresh.yaml"
    host.cli("connector", "discover", "kept", "--write", fresh, "-w", "w")
    check(fresh.read_text().startswith("apiVersion: penstock/v1\nkind: LocalLayer\ndatastores:\n"), "a new layer", fresh.read_text())
    host.cli("connector", "discover", "file", "-f", layer, "-w", "w", code=7)  # csv cannot list


harness.main(trials)
