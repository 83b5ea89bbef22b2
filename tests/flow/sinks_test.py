"""Rows that go out by a sink: signed, in order, corrected, refused; and sinks that are wrong."""
import hashlib
import hmac

from harness import Host, check, equal, main, wait_for
from row_receiver import KEYED, Far, add_sink, in_order, reading, sink_of, started, template


def rows_go_out_signed_and_in_order():
    far = Far()
    host = started(far, config=", secret: lake_key")
    host.cli("secret", "set", "lake_key", "-w", "one", stdin="s3cr3t-of-the-lake")
    for first in range(0, 500, 50):
        host.ingest("one", "readings", [reading(n, "d%d" % (n % 5), n, extra=n) for n in range(first, first + 50)])
    wait_for("500 rows", lambda: len(far.rows()) >= 500)
    in_order(far)
    equal(sorted(row["value"] for row in far.rows()), sorted(float(n) for n in range(500)), "the values")
    row = far.rows()[0]
    equal(row["_extra"], {"extra": row["value"]}, "what was added")
    for batch in far.all():
        first, last = (int(n) for n in batch["id"].rsplit("/", 1)[1].split("-"))
        check(all(first <= row["_seq"] <= last for row in batch["rows"]), "rows are within the bounds of their id", batch["id"])
        equal(batch["headers"]["Penstock-Rows"], str(len(batch["rows"])), "how many rows")
        parts = dict(p.split("=", 1) for p in batch["headers"]["Penstock-Signature"].split(","))
        equal(parts["v1"], hmac.new(b"s3cr3t-of-the-lake", parts["t"].encode() + b"." + batch["body"], hashlib.sha256).hexdigest(),
              "the signature")
    equal(len({batch["id"] for batch in far.all()}), len(far.all()), "every batch has an id of its own")
    shown = wait_for("it is settled", lambda: (s := sink_of(host))["delivered"] == 500 and s)
    equal((shown["state"], shown["refused"], shown["lag_seconds"], shown["error"]), ("ok", 0, 0, None), "the sink")
    check("s3cr3t" not in host.log(), "the secret is in no log")
    listed = host.cli("sink", "list", "-w", "one").text
    check("lake" in listed and "datastore:readings" in listed, "penstock sink list", listed)
    metrics = host.request("GET", "/metrics", admin=True).text
    check('penstock_sink_rows_total{workspace="one",sink="lake",outcome="delivered"} 500' in metrics, "/metrics",
          [line for line in metrics.splitlines() if "sink" in line])
    host.stop()


def refused_rows_are_dead_letters():
    for mode in ("named", "wrong"):
        far = Far(mode)
        host = started(far)
        values = [13 if n in (0, 40, 41, 99) else n + 100 for n in range(100)]
        host.ingest("one", "readings", [reading(n, value=v) for n, v in enumerate(values)])
        wait_for("96 rows", lambda: len(far.once()) >= 96 and sink_of(host)["refused"] == 4)
        taken = {row["value"] for row in far.once()}
        check(taken >= {float(v) for v in values if v != 13}, "the others are there")
        letters = host.cli_json("deadletter", "list", "-w", "one")
        letters = letters["items"] if isinstance(letters, dict) else letters
        equal(sorted({letter["store"] for letter in letters}), ["sink:lake"], "whose letters they are")
        equal((len(letters), {letter["code"] for letter in letters}), (4, {"refused"}), "the letters")
        check(all("thirteen" in letter["detail"] or "not taken" in letter["detail"] for letter in letters), "the far side's words",
              letters[0])
        equal(sink_of(host)["state"], "ok", "the sink goes on")
        host.ingest("one", "readings", [reading(n, value=7) for n in range(200, 210)])
        wait_for("ten more", lambda: sum(row["value"] == 7 for row in far.once()) == 10)
        host.stop()
        host.close()


def who_refuses_everything_buries_nothing():
    far = Far("never")
    host = started(far)
    host.ingest("one", "readings", [reading(n, value=n) for n in range(50)])
    shown = wait_for("it is down", lambda: (s := sink_of(host))["state"] == "down" and s)
    check("whatever rows it is given" in shown["error"] and "nothing is taken here" in shown["error"], "the reason", shown)
    equal((shown["delivered"], shown["refused"]), (0, 0), "nothing is settled")
    far.mode = "ok"
    host.cli("sink", "resume", "lake", "-w", "one")
    wait_for("all rows", lambda: sink_of(host)["delivered"] == 50)
    equal(sorted({row["value"] for row in far.rows()}), [float(n) for n in range(50)], "the rows")
    equal(host.sql("SELECT count(*) FROM penstock.dead_letter_wid1"), [["0"]], "dead letters")
    out = host.cli("sink", "check", "lake", "-w", "one")
    check("the far side is there" in out.errors + out.text, "penstock sink check", out.errors, out.text)
    host.stop()


def corrections_come_as_they_are():
    far = Far()
    host = started(far, key=KEYED)
    equal(host.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'readings__seq_wid1'"), [["1"]], "an index on _seq")
    host.ingest("one", "readings", [reading(n, value=n) for n in range(20)])
    wait_for("20 rows", lambda: len(far.rows()) == 20)
    host.cli("sink", "pause", "lake", "-w", "one")
    wait_for("it is paused", lambda: sink_of(host)["state"] == "paused")
    host.ingest("one", "readings", [reading(n, value=50) for n in range(5)])
    host.ingest("one", "readings", [reading(n, value=60) for n in range(3)])
    host.cli("sink", "resume", "lake", "-w", "one")
    wait_for("the corrected rows", lambda: len(far.rows()) == 25)
    newest = {}
    for row in far.rows():
        newest[row["time"]] = max(newest.get(row["time"], (0, 0)), (row["_seq"], row["value"]))
    equal([v for _, v in sorted(newest.values(), key=lambda pair: pair[0])][-5:], [50.0, 50.0, 60.0, 60.0, 60.0],
          "the highest _seq of a key has its value")
    host.stop()


def rows_go_out_again_when_asked():
    """Back to a time, and to the beginning while a batch is under way, which then does not count."""
    far = Far()
    host = started(far, rows=50)
    back = lambda *words, **more: host.cli("sink", "rewind", "lake", "-w", "one", *words, "--yes", **more)
    host.ingest("one", "readings", [reading(n, value=n) for n in range(120)])
    wait_for("120 rows", lambda: len(far.rows()) == 120)
    host.ingest("one", "readings", [reading(n, value=n) for n in range(120, 180)])
    wait_for("180 rows", lambda: len(far.rows()) == 180)
    since = host.sql("SELECT to_char(min(_received) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM datastore.readings_wid1 "
                     "WHERE value >= 120")[0][0]
    wait_for("it is settled", lambda: sink_of(host)["delivered"] == 180)
    at = sink_of(host)["position"]
    said = host.cli_json("sink", "rewind", "lake", "-w", "one", "--to-time", since, "--yes")
    equal(said["was"], at, "where it stood")
    wait_for("the rows of then", lambda: len(far.rows()) == 240)
    wait_for("it stands where it stood", lambda: sink_of(host)["position"] == at)
    equal([row["value"] for row in far.rows()[180:]], [float(n) for n in range(120, 180)], "what came again")
    check(not any("~" in batch["id"] for batch in far.all()[:4]) and far.all()[-1]["id"].endswith("~1"), "its ids are new", far.all()[-1]["id"])
    far.mode = "hang"
    asked = len(far.all())
    host.ingest("one", "readings", [reading(n, value=n) for n in range(180, 190)])
    wait_for("a batch is under way", lambda: host.sql("SELECT trying FROM penstock.sink")[0][0])
    wait_for("and at the far side", lambda: far.begun > asked)
    back("--to-beginning")
    equal(host.sql("SELECT trying, rewound FROM penstock.sink"), [[None, "2"]], "what is under way is forgotten")
    far.mode = "ok"
    far.released.set()
    wait_for("all rows again", lambda: [row["value"] for batch in far.all() if batch["id"].endswith("~2") for row in batch["rows"]] ==
             [float(n) for n in range(190)])
    wait_for("it stands behind all", lambda: sink_of(host)["position"] == far.rows()[-1]["_seq"])
    equal(sink_of(host)["delivered"], 180 + 60 + 190, "what counts as delivered: not the batch that was under way")
    check("before that already" in back("--to-time", "now+1h").errors, "never forward")
    equal(sink_of(host)["state"], "ok", "how it is")
    for words, code in ((("--to-time", "soon"), 7), ((), 2), (("--to-beginning", "--to-time", "now"), 2)):
        equal(back(*words, code=None).returncode, code, f"exit code of {words}")
    equal(host.cli("sink", "rewind", "lake", "-w", "one", "--to-beginning", "--no-input", code=None).returncode, 2, "nobody says yes")
    host.api("POST", "/workspaces/one/sinks/nobody:rewind", {"to": "beginning"}, expect=404)
    host.api("POST", "/workspaces/one/sinks/lake:rewind", {"to": 5}, expect=422)
    seen = [a for a in host.api("GET", "/workspaces/one/audit").json["items"] if a["verb"] == "sink.rewind"]
    equal((len(seen), seen[0]["object"]), (3, "sink:lake"), "the audit")
    host.stop()


def where_a_sink_begins():
    """`newest` is from now on, also while it is paused; and no place that another sink of that name has left counts."""
    far, fresh, late = Far(), Far(), Far()
    host = started(far)
    host.ingest("one", "readings", [reading(n) for n in range(30)])
    host.sql("INSERT INTO penstock.sink (wid, sink, store, seq) SELECT 1, 'late', 'readings', max(_seq) FROM datastore.readings_wid1")
    sink = '  {name}: {{plugin: org.penstock.connector.webhook-out, from: "datastore:readings", config: {{url: "{url}"}}, batch: {{every: 100ms}}{more}}}\n'
    add_sink(host, far, sink.format(name="fresh", url=fresh.url, more=", begin: newest, paused: true") + sink.format(name="late", url=late.url, more=""))
    wait_for("it has begun", lambda: host.sql("SELECT seq FROM penstock.sink WHERE sink = 'fresh'"))
    host.ingest("one", "readings", [reading(n) for n in range(30, 35)])
    host.cli("sink", "resume", "fresh", "-w", "one")
    wait_for("all rows", lambda: len(late.once()) == 35)
    wait_for("the newest", lambda: len(fresh.rows()) >= 5)
    equal([row["time"][17:19] for row in fresh.rows()], ["30", "31", "32", "33", "34"], "what came since")
    host.sql("UPDATE datastore.readings_wid1 SET _received = _received + interval '1 hour'")  # as if the clock had been set back since
    host.api("POST", "/workspaces/one/sinks/fresh:rewind", {"to": "beginning"})
    wait_for("all rows there, too", lambda: len(fresh.once()) == 35)
    host.stop()


def a_wrong_sink_says_so():
    far = Far()
    host = Host().start()
    path = host.folder / "out.yaml"
    good = template(far)
    for text, words in ((good.replace("datastore:readings", "datastore:reading"), "reading"),
                        (good.replace("webhook-out", "webhook-ot"), "there is no sink plugin"),
                        (good.replace("org.penstock.connector.webhook-out", "org.penstock.connector.csv"), "there is no sink plugin"),
                        (good.replace("rows: 100,", "rows: 100001,"), "100000"),
                        (good.replace("rows: 100,", "rows: 0,"), "1")):
        path.write_text(text)
        out = host.cli("template", "apply", "-f", path, "--yes", code=None)
        check(out.returncode != 0 and words in out.errors + out.text, "refused with the reason", out.errors, out.text)
    host.cli("sink", "show", "nobody", "-w", "none", code=4)
    host.stop()


main(rows_go_out_signed_and_in_order, refused_rows_are_dead_letters, who_refuses_everything_buries_nothing,
     corrections_come_as_they_are, rows_go_out_again_when_asked, where_a_sink_begins, a_wrong_sink_says_so)
