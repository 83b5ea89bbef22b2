"""Templates as Python data, for tests that need the same stores, models and alerts again and again. They are published as JSON,
which is YAML, too. A test's own parts stand beside those made here."""
import json

ID = {"type": "string", "maxLength": 64}
ANY_TIME = {"past": "any", "future": "any"}


def template(key, **sections):
    return {"apiVersion": "penstock/v1", "kind": "Template", "metadata": {"key": key, "version": "1.0.0"}, **sections}


def publish(host, document):
    """Stores the template at a host that runs."""
    path = host.folder / f"{document['metadata']['key']}.yaml"
    path.write_text(json.dumps(document))
    host.apply(path)


def _properties(columns):
    return {name: {"type": kind} if isinstance(kind, (str, list)) else kind for name, kind in columns.items()}


def datastore(columns, required=(), **more):
    """Rows with a `time` and these columns: name → its JSON Schema, or only the type."""
    return {"schema": {"type": "object", "required": ["time", *required], "additionalProperties": False,
                       "properties": {"time": {"type": "string", "format": "date-time"}, **_properties(columns)}},
            "time": "time", "accept": ANY_TIME, **more}


def readings(columns, required=(), **more):
    """A datastore of several devices."""
    return datastore({"device_id": ID, **columns}, ("device_id", *required), entity=["device_id"], **more)


def numbered():
    """Readings whose `n` tells each row from all others."""
    return readings({"n": "integer"}, ["n"])


def echoed():
    """What the test plugin echo-source delivers: a column of every type."""
    return datastore({"n": "integer", "value": ["number", "null"], "name": "string", "odd": "boolean", "small": "integer",
                      "day": {"type": "string", "format": "date"}, "id": {"type": "string", "format": "uuid"}, "doc": "object"},
                     ["n"])


def rollup(store, bucket, columns, every="1s"):
    """A featurestore by bucket and device; `columns` as in SQL."""
    return {"from": [f"datastore:{store}"], "bucket": bucket, "key": ["bucket", "device_id"], "refresh": {"every": every},
            "sql": f"SELECT penstock.time_bucket(:bucket, time) AS bucket, device_id, {columns} FROM datastore:{store} GROUP BY 1, 2"}


def judge(plugin, featurestore, context=None, **more):
    """A model over a featurestore whose scores go to the inferencestore `judged`."""
    infer = {"from": f"featurestore:{featurestore}", "on": "change", "into": "inferencestore:judged"}
    if context:
        infer["context"] = context
    return {"plugin": plugin, "train": {"from": f"featurestore:{featurestore}", "window": "all", "every": "7d"}, "infer": infer, **more}


def judged(columns):
    """The inferencestore of `judge`."""
    return {"key": ["bucket", "device_id"], "schema": {"type": "object", "properties": {
        "bucket": {"type": "string", "format": "date-time"}, "device_id": {"type": "string"}, **_properties(columns)}}}


def anomaly(featurestore):
    """(model, inferencestore) of the anomaly plugin over pressure_avg and flow_max."""
    return (judge("org.penstock.model.anomaly", featurestore, context=8, config={"columns": ["pressure_avg", "flow_max"]}),
            judged({"score": "number", "anomaly": "boolean"}))


def alert(metric, notifier, fire_at="> 0", clear_at="< 0", **more):
    """Looks at the wall clock and fires at once."""
    return {"metric": metric, "clock": "wall", "condition": {"fire_at": fire_at, "clear_at": clear_at}, "for": "0s",
            "severity": "warning", "notify": [notifier], **more}
