"""Texts that would be a header, a recipient, markup, a command or a line of the log if anybody forgot what they are: as data, as
titles of alerts and in the configuration of notifiers. They come back unchanged where they are allowed and are refused where not."""
import csv
import io
import json
import pathlib

import harness
import hostile
from harness import check, equal, main, wait_for

TOUCHED = pathlib.Path("/tmp/x")  # what the value `shell` would make
ROWS = "/api/v1/workspaces/data/datastores/readings/rows"
KEY_MAX = 2600
HEADERS = {"date", "from", "to", "subject", "message-id", "mime-version", "content-type", "content-transfer-encoding",
           "auto-submitted", "in-reply-to", "references", "list-id", "reply-to"}
TIME = "2026-01-01T00:00:00Z"
DATASTORE = {
    "schema": {"type": "object", "required": ["time", "device"], "additionalProperties": False, "properties": {
        "time": {"type": "string", "format": "date-time"}, "device": {"type": "string"}, "note": {"type": "string"},
        "n": {"type": "integer"}}},
    "time": "time", "entity": ["device"], "accept": {"past": "any", "future": "any"}}
METRIC = {"value": "n", "labels": ["device"], "sql":
          "SELECT DISTINCT ON (device) device, n FROM datastore:readings WHERE note IS NULL ORDER BY device, time DESC"}


def alert(title, notifiers):
    return {"title": title, "metric": "latest", "clock": "wall", "every": "1s", "condition": {"fire_at": "> 0"},
            "notify_horizon": "off", "notify": notifiers}


def template(key, notifiers, alerts):
    return {"apiVersion": "penstock/v1", "kind": "Template", "metadata": {"key": key, "version": "1.0.0"},
            "datastores": {"readings": DATASTORE}, "metrics": {"latest": METRIC}, "notifiers": notifiers, "alerts": alerts}


class Told:
    """Where mails and webhooks of the host arrive."""

    def __init__(self):
        self.mail, self.hook = harness.MailSink(), harness.HttpSink()

    def email(self, **more):
        return {"plugin": "org.penstock.notifier.email", "config": {"url": self.mail.url, "to": ["ops@example.org"], **more}}

    def webhook(self, **more):
        return {"plugin": "org.penstock.notifier.webhook", "config": {"url": self.hook.url, **more}}


def publish(host, document):
    """None, or why it is refused."""
    answer = host.request("POST", "/api/v1/templates", document)
    return None if answer.status < 300 else answer


def whole_mail(mail, wrong):
    """Nothing of a value became a header, a recipient or markup."""
    strange = {name.lower() for name in mail["message"].keys()} - HEADERS
    if strange or mail["to"] != ["ops@example.org"]:
        wrong(f"headers {sorted(strange)}, recipients {mail['to']}")
    for part in mail["message"].walk():
        text = part.get_payload(decode=True)
        if part.get_content_type() == "text/html" and b"<script" in text:
            wrong("markup in a mail")
        elif not part.is_multipart() and part.get_content_type() not in ("text/plain", "text/html"):
            wrong(f"a part of the type {part.get_content_type()}")


def send(host, row):
    return host.request("POST", f"{ROWS}?wait=stored", json.dumps({"time": TIME, "n": 1, **row}).encode())


def as_data(host, ward, values):
    """Each value as a text and as a key: unchanged in the store, as JSON and as CSV. Returns the keys."""
    for n, value in enumerate(values):
        text, kept = value["value"], "\0" not in value["value"]
        with ward.input(f"{value['id']} as data") as wrong:
            answers = send(host, {"device": f"n{n}", "note": text}), send(host, {"device": text})
            hostile.as_verdict(answers[0], "accept" if kept else "reject", wrong)
            hostile.as_verdict(answers[1], "accept" if kept else "reject", wrong)
            if kept and answers[1].json.get("dead", 0) != (len(text) > KEY_MAX):  # longer than an index takes: a dead letter
                wrong(answers[1])
    good = {v["value"] for v in values if "\0" not in v["value"]}
    keys = {v for v in good if len(v) <= KEY_MAX}
    as_json, as_csv = host.rows("data", "datastore:readings"), host.request("GET", ROWS, headers={"Accept": "text/csv"}).text
    for name, rows in ("JSON", as_json), ("CSV", list(csv.DictReader(io.StringIO(as_csv, newline="")))):
        equal({r["note"] for r in rows if r.get("note")}, good, f"texts as {name}")
        equal({r["device"] for r in rows if not r.get("note")}, keys, f"keys as {name}")
    return keys


def data_is_told(told, ward, good):
    devices = lambda: {json.loads(m["body"])["labels"]["device"] for m in told.hook.all()}
    wait_for("every device is told by webhook", lambda: devices() >= good or None, 60)
    wait_for("and by mail", lambda: len(told.mail.all()) >= len(good) or None, 60)
    equal(devices(), good, "devices as the webhook has them")
    for mail in told.mail.all():
        with ward.input("a mail about it") as wrong:
            whole_mail(mail, wrong)


def as_titles(host, told, ward, values):
    """Each value as the title of an alert: refused, or a subject on one line."""
    alerts = {}
    for n, value in enumerate(values):
        with ward.input(f"{value['id']} as a title") as wrong:
            key, one = f"t{n}", {"a": alert(value["value"], ["ops"])}
            answer = host.request("POST", "/api/v1/templates:validate", template("titles", {"ops": told.email()}, one))
            if answer.status >= 500:
                wrong(answer)
            elif answer.status == 200 and answer.json["valid"]:
                alerts[key] = one["a"]
    check(publish(host, template("titles", {"ops": told.email()}, alerts)) is None, "the titles that are allowed")
    before = len(told.mail.all())
    host.workspace("titles", "titles")
    host.ingest("titles", "readings", [{"time": TIME, "device": "d", "n": 1}])
    wait_for("every alert is told", lambda: len(told.mail.all()) >= before + len(alerts) or None, 60)
    for mail in told.mail.all()[before:]:
        with ward.input("a mail of a title") as wrong:
            whole_mail(mail, wrong)


def as_configuration(host, told, ward, values):
    """In a notifier's configuration: refused when it is published, or nothing is sent, or what is sent is whole."""
    where = {"to": lambda v: told.email(to=[v]), "from_name": lambda v: told.email(from_name=v),
             "webhook_header": lambda v: told.webhook(headers={"X-Ours": v}),
             "webhook_header_name": lambda v: told.webhook(headers={v: "x"})}
    for value in [v for v in values if v["field"] in where]:
        with ward.input(f"{value['id']} in a configuration") as wrong:
            key = value["id"]
            mails, posts = len(told.mail.all()), len(told.hook.all())
            if publish(host, template(key, {"n": where[value["field"]](value["value"])}, {"a": alert("A", ["n"])})):
                continue
            host.workspace(key, key)
            host.ingest(key, "readings", [{"time": TIME, "device": "d", "n": 1}])
            tried = lambda: host.api("GET", f"/workspaces/{key}/deliveries").json["items"]
            wait_for("it is tried", lambda: any(d["state"] == "sent" or d["error"] for d in tried()), 30)
            for mail in told.mail.all()[mails:]:
                whole_mail(mail, wrong)
            for post in told.hook.all()[posts:]:
                if any("evil" in name.lower() for name in post["headers"]):
                    wrong(post["headers"])


def texts_stay_texts():
    values = hostile.index("fields/values.json")
    was_there = TOUCHED.exists()
    told, host = Told(), harness.Host().start()
    check(publish(host, template("data", {"ops": told.email(), "hook": told.webhook()}, {"a": alert("A", ["ops", "hook"])})) is None,
          "the template of the data")
    host.workspace("data", "data")
    ward = hostile.Ward(host, lambda: host.request("GET", "/healthz").status)
    good = as_data(host, ward, values)
    data_is_told(told, ward, good)
    as_titles(host, told, ward, values)
    as_configuration(host, told, ward, values)
    check(was_there or not TOUCHED.exists(), "no text was run as a command")
    equal([line for line in host.log().split("\n")[:-1] if not (line.startswith("time=") and line.isprintable())], [],
          "lines of the log that are none of ours")
    ward.finish("hostile/fields")


main(texts_stay_texts)
