"""Bodies that are no JSON, or JSON that hurts: refused or accepted as their index says, stored and given back as the same value,
and schemas that are traps: refused, or applied in time."""
import decimal
import json

import hostile
from harness import main, say, testdata

ROWS = "/api/v1/workspaces/w/datastores/events/rows"


class Rows:
    """The rows of the store `events`, as bodies and as what comes back."""

    def __init__(self):
        self.host = hostile.host_with_events()
        self.n = 0

    def send(self, body, type="application/json"):
        return self.host.request("POST", ROWS + "?wait=stored", body, type=type)

    def good(self):
        return self.send(b'{"pump_id":"good","count":1}').json["accepted"]

    def back(self):
        """The document of the newest row, as PostgreSQL has it and as the API gives it."""
        held, seq = self.host.sql("SELECT doc::text, _seq FROM datastore.events_wid1 ORDER BY _seq DESC LIMIT 1")[0]
        lines = self.host.request("GET", ROWS + "?system=true", headers={"Accept": "application/x-ndjson"}).body.splitlines()
        shown = next(row for row in map(exact, lines) if row["_seq"] == int(seq))
        return exact(held), shown["doc"]


def exact(text):
    return json.loads(text, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


# Valid JSON that is refused for what it says, not for how it is written; one rule each, named in docs/api.md.
RULES = {"y_string_null_escape": "not_storable", "y_object_escaped_null_in_key": "not_storable",
         "y_object_duplicated_key": "duplicate_key"}


def parsing(rows, ward):
    for file in sorted(testdata("hostile/json/suite/parsing").glob("*.json")):
        body = file.read_bytes()
        with ward.input(file.name) as wrong:
            if file.stem in RULES:
                answer = rows.send(b'{"doc":' + body + b"}")
                if answer.status != 200 or answer.json["errors"][0]["code"] != RULES[file.stem]:
                    wrong(f"not {RULES[file.stem]}: {answer}")
            elif file.stem.startswith("y_"):
                hostile.as_verdict(rows.send(b'{"doc":' + body + b"}"), "accept", wrong)
            else:
                hostile.as_verdict(rows.send(body), "reject" if file.stem.startswith("n_") else "either", wrong)


def transform(rows, ward):
    for file in sorted(testdata("hostile/json/suite/transform").glob("*.json")):
        with ward.input(file.name) as wrong:
            body = file.read_bytes()
            answer = rows.send(b'{"doc":' + body + b"}")
            hostile.as_verdict(answer, "either", wrong)
            if hostile.accepted(answer):
                held, shown = rows.back()
                if held != exact(body) or shown != held:
                    wrong(f"sent {exact(body)!r}, held {held!r}, shown {shown!r}")


def own(rows, ward):
    for case in hostile.index("json/own/index.json"):
        with ward.input(case["file"]) as wrong:
            hostile.as_verdict(rows.send(testdata(f"hostile/json/own/{case['file']}").read_bytes()), case["verdict"], wrong)


def lines(rows, ward):
    """One bad line among good ones: they are taken, it is named."""
    with ward.input("ndjson-one-bad.json as lines") as wrong:
        answer = rows.send(testdata("hostile/json/own/ndjson-one-bad.json").read_bytes(), type="application/x-ndjson").json
        if (answer["accepted"], answer["rejected"]) != (2, 1) or answer["errors"][0]["line"] != 2:
            wrong(answer)


def template(stores):
    """As text: some of the schemas are deeper than Python's own reader goes."""
    inner = b",".join(b'"%s":%s' % (key.encode(), made) for key, made in stores.items())
    return b'{"apiVersion":"penstock/v1","kind":"Template","metadata":{"key":"traps","version":"1.0.0"},"datastores":{%s}}' % inner


def store(schema):
    """One whose rows hold the instance; the schema is a resource of its own, so that its references stay inside of it."""
    if schema.startswith(b"{"):
        schema = b'{"$id":"https://example.org/trap",' + schema[1:]
    return b'{"schema":{"type":"object","properties":{"value":%s}}}' % schema


def compiled(rows, ward, cases):
    """Those schemas that are taken."""
    taken = {}
    for n, case in enumerate(cases):
        schema = testdata(f"hostile/json/schema/{case['schema']}").read_bytes()
        with ward.input(case["schema"]) as wrong:
            answer = rows.host.request("POST", "/api/v1/templates:validate", template({f"t{n}": store(schema)}))
            valid = answer.status == 200 and answer.json["valid"]
            if answer.status >= 500 or (case["must"] == "refuse the schema" and valid) or (case["must"].startswith("valid") and not valid):
                wrong(f"{case['must']}: {answer}")
            if valid:
                taken[f"t{n}"] = (case, store(schema))
    return taken


def schemas(rows, ward):
    """In a template: what must be refused is; a row is judged by the others in time."""
    taken = compiled(rows, ward, hostile.index("json/schema/index.json"))
    rows.host.api("POST", "/templates", template({key: made for key, (_, made) in taken.items()}))
    rows.host.workspace("t", "traps")
    for key, (case, _) in taken.items():
        body = b'{"value":' + testdata(f"hostile/json/schema/{case['instance']}").read_bytes() + b"}"
        with ward.input(case["instance"]) as wrong:
            answer = rows.host.request("POST", f"/api/v1/workspaces/t/datastores/{key}/rows?wait=stored", body)
            hostile.as_verdict(answer, "accept" if case["must"].startswith("valid") else "either", wrong)


def hostile_json():
    testdata("hostile/json")
    rows = Rows()
    ward = hostile.Ward(rows.host, rows.good)
    for part in (parsing, transform, own, lines, schemas):
        before = ward.inputs
        part(rows, ward)
        say(f"  {part.__name__}: {ward.inputs - before} inputs")
    ward.finish("hostile/json")


main(hostile_json)
