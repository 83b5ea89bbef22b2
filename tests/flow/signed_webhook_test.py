"""An alert on raw rows, told by a webhook that signs with a secret: the signature is right, the secret is in no log."""
import hashlib
import hmac
import json

from harness import Host, HttpSink, check, equal, main, wait_for

VALUE = "s3cr3t-that-signs-and-nobody-logs"
TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: raw, version: 1.0.0}}
datastores:
  readings:
    schema:
      type: object
      required: [time, device]
      additionalProperties: false
      properties: {{time: {{type: string, format: date-time}}, device: {{type: string}}, value: {{type: number}}}}
    time: time
    entity: [device]
    accept: {{past: any, future: any}}
metrics:
  latest:
    value: value
    labels: [device]
    sql: "SELECT DISTINCT ON (device) device, value FROM datastore:readings ORDER BY device, time DESC"
notifiers:
  hook: {{plugin: org.penstock.notifier.webhook, config: {{url: "{url}", secret: hook_key}}}}
alerts:
  high: {{metric: latest, clock: data, every: 1s, condition: {{fire_at: "> 9"}}, notify_horizon: off, notify: [hook]}}
"""


def header(request, name):
    return next((v for k, v in request["headers"].items() if k.lower() == name), None)


def an_alert_is_told_and_signed():
    sink = HttpSink()
    host = Host().start()
    path = host.folder / "raw.yaml"
    path.write_text(TEMPLATE.format(url=sink.url))
    host.cli("template", "apply", "-f", path, "--yes")
    host.workspace("one", "raw")
    host.cli("secret", "set", "hook_key", "-w", "one", stdin=VALUE)
    host.ingest("one", "readings", [{"time": "2026-01-01T00:00:%02dZ" % s, "device": d, "value": v}
                                    for d in ("a", "b") for s, v in ((0, 1), (10, 10 if d == "a" else 2), (20, 11), (30, 3), (40, 3))
                                    if not (d == "b" and v == 11)])
    told = wait_for("the firing and the resolved notification", lambda: len(sink.all()) >= 2 and sink.all())
    equal([json.loads(r["body"])["event"] for r in told], ["firing", "resolved"], "the events")
    for request in told:
        equal(json.loads(request["body"])["labels"], {"device": "a"}, "the labels")
        parts = dict(p.split("=", 1) for p in header(request, "penstock-signature").split(","))
        body = request["body"] if isinstance(request["body"], bytes) else request["body"].encode()
        expected = hmac.new(VALUE.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        equal(parts["v1"], expected, "the signature")
    check(VALUE not in host.log(), "the secret's value is in no log")
    host.stop()


main(an_alert_is_told_and_signed)
