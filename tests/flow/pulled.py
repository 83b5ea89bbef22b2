"""A workspace "one" whose connectors pull rows into one store; and one version of its template after the other."""
import json

UNIQUE = "unique: [device, time]"
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: pulled, version: 1.0.%d, title: Pulled}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties:
        time: {type: string, format: date-time}
        device: {type: string}
        value: {type: number}
    time: time
    entity: [device]
    %s
    accept: {past: any, future: any}
connectors:
%s
"""


def row(n, device="d1", value=None):
    return {"time": f"2026-03-{1 + n // 86400:02d}T{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z", "device": device,
            "value": n if value is None else value}


def connector(name, plugin, config, format, decode=None, into="datastore:readings"):
    settings = {"plugin": "org.penstock.connector." + plugin, "config": {"every_s": 1, **config}, "format": format, "into": into}
    if decode:
        settings["decode"] = decode
    return f"  {name}: {json.dumps(settings)}"


def give(host, *connectors, key=""):
    """Makes the workspace, or its next version, with these connectors."""
    n = getattr(host, "given", 0)
    host.given = n + 1
    template = host.folder / "pulled.yaml"
    template.write_text(TEMPLATE % (n, key, "\n".join(connectors)))
    host.cli("template", "apply", "-f", template, "--yes", *(["--all"] if n else []))
    if not n:
        host.workspace("one", "pulled")
