"""The s3 connector against a bucket of the test's own: every kind of object, late and changed ones, crashes in the middle of one, and each
way in which a far side can fail. What must hold throughout: every row is in the store once (it has no unique key here), and the
connector's state says within five seconds what is wrong."""
import gzip
import json
import struct
import threading

import harness
import pems
import pulled
from far_http import Absent, again, look_ok, tls_server, wait_state
from harness import check, equal, wait_for
from pulled import give, row
from s3_server import Bucket, fault


def csv(device, n, first=0):
    return "time,device,value\n" + "".join("{time},{device},{value}\n".format(**row(i, device)) for i in range(first, first + n))


def ndjson(device, n, first=0):
    return "".join(json.dumps(row(i, device)) + "\n" for i in range(first, first + n))


def zst(data):
    """A zstd frame of one block that is stored as it is."""
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + struct.pack("<I", 1 | len(data) << 3)[:3] + data


def connector(name, bucket, format="csv", decode=None, into="datastore:readings", **config):
    return pulled.connector(name, "s3", {"url": bucket.url, **config}, format, decode, into)


def stored(host):
    """How often each device's value is there: {device: [count, distinct]}."""
    return {r[0]: [int(r[1]), int(r[2])] for r in host.sql(
        "SELECT device, count(*), count(DISTINCT value) FROM datastore.readings_wid1 GROUP BY 1")}


def wait_rows(host, wanted, within=30):
    wanted = {d: [n, n] for d, n in wanted.items()}
    try:
        wait_for("the rows", lambda: {d: c for d, c in stored(host).items() if d in wanted} == wanted, within)
    except harness.Failed:
        equal({d: c for d, c in stored(host).items() if d in wanted}, wanted, f"rows, and of dead letters {letters(host)}")


def letters(host):
    return [r[0] for r in host.sql("SELECT detail FROM penstock.dead_letter_wid1 ORDER BY 1")]


KEYS = {"credentials": {"access_key": "s3_access", "secret_key": "s3_secret"}}


def set_keys(host, access="AKID", secret="s3cr3t/+key", token=None):
    for name, value in (("s3_access", access), ("s3_secret", secret), ("s3_token", token)):
        if value:
            host.cli("secret", "set", name, "-w", "one", stdin=value)


def kinds():
    """Formats, names, styles, pages, ranges."""
    a = Bucket(access="AKID", secret="s3cr3t/+key", region="eu-test-1", page=3).serve()
    for i in range(5):
        a.put(f"many/{i}.csv", csv("many", 10, 10 * i))
    a.put("many/empty.csv", "")
    a.put("many/notes.txt", "not for us")
    a.put("strange/a b/ä+%25&?=#'..ndjson", ndjson("strange", 7))
    a.put("strange/x/../y/./z.ndjson", ndjson("dots", 3))
    a.put("packed/1.csv.gz", gzip.compress(csv("gzip", 2000).encode()) + gzip.compress(b"".join(csv("gzip", 5, 2000).encode().partition(b"\n")[2:])))
    a.put("packed/2.ndjson.zst", zst(ndjson("zstd", 900).encode()) + zst(ndjson("zstd", 10, 900).encode()))
    a.put("packed/3.csv", gzip.compress(csv("hidden", 50).encode()))  # whatever its name says
    a.put("whole/one.json", json.dumps({"items": [row(n, "whole") for n in range(30)]}, indent=1))
    a.put("crlf/quoted.csv", "\ufefftime,device,value\r\n" + '"2026-03-01T00:00:00Z","quo""ted\r\nname",1\r\n\r\n2026-03-01T00:00:01Z,plain,2')
    b = Bucket(base="").serve()  # as with the bucket in the host's name, and for everybody
    b.put("rows.ndjson", ndjson("anybody", 20))
    t = Bucket(access="AKID", secret="s3cr3t/+key", token="tok/en+=").serve()
    t.put("rows.ndjson", ndjson("token", 20))
    f = Bucket().serve()
    f.put("in/north/1.ndjson", ndjson("north", 4))
    f.put("in/south/1.ndjson", ndjson("south", 5))
    host = harness.Host().start()
    signed = {"region": "eu-test-1", **KEYS}
    give(host,
         connector("many", a, prefix="many/", suffix=".csv", range_bytes=100, **signed),
         connector("strange", a, "ndjson", prefix="strange/", **signed),
         connector("packed_csv", a, prefix="packed/1", range_bytes=777, **signed),
         connector("packed_lines", a, "ndjson", prefix="packed/2", range_bytes=777, **signed),
         connector("hidden", a, prefix="packed/3", **signed),
         connector("whole", a, "json", prefix="whole/", decode={"path": "$.items[*]"}, **signed),
         connector("crlf", a, prefix="crlf/", range_bytes=17, **signed),
         connector("anybody", b, "ndjson"),
         connector("token", t, "ndjson", credentials={**KEYS["credentials"], "session_token": "s3_token"}),
         connector("folders", f, "ndjson", decode={"map": {"device": "$topic[1]"}}, prefix="in/", streams=True, into={"north": "datastore:readings", "south": "datastore:readings"}))
    wait_state(host, "many", "needs_you", "secret", 15)
    set_keys(host, token="tok/en+=")
    wait_rows(host, {"many": 50, "strange": 7, "dots": 3, "gzip": 2005, "zstd": 910, "hidden": 50, "whole": 30, 'quo"ted\nname': 1, "plain": 1,
                     "anybody": 20, "token": 20, "north": 4, "south": 5}, 15)
    equal(letters(host), [], "dead letters")
    for name, keys in (("many", 10), ("whole", 10), ("packed_csv", 10)):
        seen = host.api("POST", f"/workspaces/one/connectors/{name}:check").json
        check(seen["checked"] and len(seen["rows"]) >= keys and not seen["rejects"], f"check of {name}", seen)
    check(host.api("POST", "/workspaces/one/connectors/many:check").json["rows"][0]["row"]["value"] >= 0, "rows are shown")
    seen = host.api("POST", "/workspaces/one/connectors/many:discover").json
    check(all(w in seen["yaml"] for w in ("device", "format: date-time")), "discover of CSV", seen)
    seen = host.api("POST", "/workspaces/one/connectors/folders:discover").json
    equal([s["stream"] for s in seen["streams"]], ["north", "south"], "discover of folders")
    check("format: date-time" in seen["yaml"], "discover of lines", seen)
    log = host.log()
    for secret in ("s3cr3t", "tok/en"):
        check(secret not in log, "no secret in the log")


def news():
    """Late objects, changed ones, those that sort before others; with sorted keys only the new ones are listed."""
    a, s = Bucket(page=4).serve(), Bucket(page=4).serve()
    for i in range(6):
        a.put(f"m{i}.ndjson", ndjson("a", 10, 10 * i), age=5000 - i)
        s.put(f"m{i}.ndjson", ndjson("s", 10, 10 * i), age=5000 - i)
    host = harness.Host().start()
    give(host, connector("a", a, "ndjson", late_s=600), connector("s", s, "ndjson", late_s=600, keys="sorted"))
    wait_rows(host, {"a": 60, "s": 60})
    a.put("a-late-key.ndjson", ndjson("a", 10, 60))
    a.put("b-late-object.ndjson", ndjson("a", 10, 70), age=590)  # appears that long after it was begun
    a.put("z.ndjson", ndjson("a", 10, 80))
    s.put("n.ndjson", ndjson("s", 10, 60))
    wait_rows(host, {"a": 90, "s": 70})
    s.put("m9-late-key.ndjson", ndjson("s", 10, 70))  # n is not older than late_s yet
    a.put("m3.ndjson", ndjson("a", 5, 90))  # written anew: another object
    wait_rows(host, {"a": 95, "s": 80})
    a.put("too-late.ndjson", ndjson("a", 5, 95), age=700)
    s.put("a-too-late.ndjson", ndjson("s", 5, 80))
    listed = len([r for r in s.server.all() if r["path"] == "/bucket/"])
    wait_for("more listings", lambda: len([r for r in s.server.all() if r["path"] == "/bucket/"]) > listed + 2)
    wait_rows(host, {"a": 95, "s": 80})
    check([r for r in s.server.all() if r["path"] == "/bucket/"][-1]["query"].get("start-after") == "m5.ndjson", "what is settled is not listed")
    host.kill()
    host.start()
    listed = len(a.server.all())
    wait_for("it lists again", lambda: len(a.server.all()) > listed + 3)
    wait_rows(host, {"a": 95, "s": 80})


def crashes():
    """Large objects, plain and packed, and a host that is killed while it reads them."""
    n = 60000
    a, g = Bucket().serve(), Bucket().serve()
    a.put("big.csv", csv("big", n))
    g.put("big.csv.gz", gzip.compress(csv("packed", n).encode()))
    for i in range(20):
        a.put(f"small/{i}.csv", csv("small", 50, 50 * i))
    host = harness.Host().start()
    give(host, connector("a", a, range_bytes=65536), connector("g", g, range_bytes=16384))
    for kills in range(1, 5):
        wait_for("some rows", lambda: stored(host).get("big", [0])[0] >= n * kills // 8, 60)
        host.kill()
        host.start()
    wait_rows(host, {"big": n, "packed": n, "small": 1000}, 90)
    again_from = [int(r[6:].split("-")[0]) for r in a.asked("big.csv")]
    check(sum(f == 0 for f in again_from) <= 5, "the start is read for the header only", again_from)
    check(len(again_from) <= len(a.objects["big.csv"][0]) // 65536 + 30, "a restart goes on where it was", len(again_from))
    equal(letters(host), [], "dead letters")


class Moods:
    def __init__(self):
        self.gone = threading.Event()

    def silent(self, r, answer):
        self.gone.wait(30)
        return None

    def half(self, r, answer):
        r["connection"].sendall(b"HTTP/1.1 206 Partial\r\nContent-Length: 100\r\n\r\n[{")
        self.gone.wait(30)
        return None

    @staticmethod
    def cut(r, answer):
        return None


def failures():
    moods = Moods()
    said = {"silent": moods.silent, "half": moods.half, "cut": moods.cut,
            "busy": lambda r, a: fault(429, "TooManyRequests", Retry_After="2"),
            "slowdown": lambda r, a: fault(503, "SlowDown", Retry_After="3"),
            "broken": lambda r, a: fault(500, "InternalError"),
            "html": lambda r, a: (200, {}, b"<html>Sorry</html>"),
            "nowhere": lambda r, a: fault(404, "NoSuchBucket"),
            "elsewhere": lambda r, a: fault(301, "PermanentRedirect", x_amz_bucket_region="eu-west-9"),
            "denied": lambda r, a: fault(403, "AccessDenied"),
            "skewed": lambda r, a: fault(403, "RequestTimeTooSkewed")}
    buckets = {name: Bucket().serve() for name in said}
    for name, b in buckets.items():
        b.put("1.ndjson", ndjson(name, 5))
        b.moods[None] = said[name]
    late = Bucket().serve()  # the object is the trouble, not the listing
    late.put("1.ndjson", ndjson("late", 5))
    late.moods["1.ndjson"] = moods.half
    gone = Bucket()
    gone.server = Absent(gone)
    wrong, unknown, expired, region = (Bucket(access="AKID", secret=s, token=t, region=r).serve() for s, t, r in (
        ("another", None, "us-east-1"), ("s3cr3t/+key", None, "us-east-1"), ("s3cr3t/+key", "new", "us-east-1"), ("s3cr3t/+key", None, "eu-here-1")))
    unknown.access = "SOMEBODY"
    for name, b in (("wrong", wrong), ("unknown", unknown), ("expired", expired), ("region", region)):
        b.put("1.ndjson", ndjson(name, 5))
    host = harness.Host().start()
    temporary = {"credentials": {**KEYS["credentials"], "session_token": "s3_token"}}
    give(host, *[connector(n, b, "ndjson", timeout_ms=4000) for n, b in buckets.items()], connector("late", late, "ndjson", timeout_ms=4000),
         connector("gone", gone, "ndjson"), connector("wrong", wrong, "ndjson", **KEYS), connector("unknown", unknown, "ndjson", **KEYS),
         connector("expired", expired, "ndjson", **temporary), connector("region", region, "ndjson", **KEYS))
    set_keys(host, token="old")
    for name, state, words in (
            ("cut", "down", "failed: Empty reply"), ("gone", "down", "Failed to connect"), ("silent", "degraded", "waiting for an answer from"),
            ("half", "degraded", "waiting for an answer"), ("late", "degraded", "waiting for an answer"), ("busy", "degraded", "answered 429"),
            ("slowdown", "degraded", "503 SlowDown"), ("broken", "down", "500 InternalError"), ("html", "down", "no listing"),
            ("nowhere", "needs_you", "NoSuchBucket"), ("elsewhere", "needs_you", "its region is eu-west-9"), ("denied", "needs_you", "s3:ListBucket"),
            ("skewed", "needs_you", "clock"), ("wrong", "needs_you", "SignatureDoesNotMatch"), ("unknown", "needs_you", "InvalidAccessKeyId"),
            ("expired", "needs_you", "ExpiredToken"), ("region", "needs_you", "its region is eu-here-1")):
        wait_state(host, name, state, words)
    for name in ("silent", "half", "late"):
        wait_state(host, name, "down", "", 8)
    tries = lambda name: [r["at"] for r in buckets[name].server.all()]
    wait_for("some tries", lambda: len(tries("busy")) >= 3)
    check(all(b - a >= 1.99 for a, b in zip(tries("busy"), tries("busy")[1:])), "not before Retry-After", tries("busy"))
    wait_for("some tries", lambda: len(tries("slowdown")) >= 2)
    check(all(b - a >= 2.99 for a, b in zip(tries("slowdown"), tries("slowdown")[1:])), "not before Retry-After", tries("slowdown"))
    moods.gone.set()
    for b in (*buckets.values(), late):
        b.moods.clear()
    wrong.secret, unknown.access = "s3cr3t/+key", "AKID"
    set_keys(host, token="new")
    everyone = [*buckets, "late", "wrong", "unknown", "expired"]
    again(host, *everyone)
    for name in everyone:
        look_ok(host, name)
    wait_rows(host, {name: 5 for name in everyone})


def one_of_many():
    """What is wrong with an object costs that object."""
    b = Bucket(page=3).serve()
    for i in range(8):
        b.put(f"in/{i}.csv", csv("good", 10, 10 * i))
    b.put("in/2-denied.csv", csv("denied", 10))
    b.moods["in/2-denied.csv"] = lambda r, a: fault(403, "AccessDenied")
    b.put("in/3-gone.csv", csv("gone", 10))
    b.moods["in/3-gone.csv"] = lambda r, a: fault(404, "NoSuchKey")
    b.put("in/4-garbage.csv", bytes(range(256)) * 20)
    b.put("in/5-torn.csv.gz", gzip.compress(csv("torn", 3000).encode())[:-3000])
    b.put("lines/long.ndjson", json.dumps(row(0, "long")) + "\n" + '{"device": "' + "x" * 70000 + '"}\n' + json.dumps(row(1, "long")) + "\n")
    b.put("odd/1.csv", "time,device,colour\n2026-03-01T00:00:00Z,odd,red\n")
    b.put("odd/2.csv", csv("odd", 4))
    c = Bucket().serve()
    old, new = csv("changing", 40000), csv("changed", 300)
    c.put("changing.csv", old)
    seen = threading.Event()

    def swap(r, answer):  # the third range finds another object
        if len(c.asked("changing.csv")) == 3 and not seen.is_set():
            seen.set()
            c.put("changing.csv", new)
            return c.read(r, "changing.csv")
        return answer
    c.moods["changing.csv"] = swap
    host = harness.Host().start()
    give(host, connector("one", b, prefix="in/"), connector("lines", b, "ndjson", prefix="lines/", max_record_bytes=65536), connector("odd", b, prefix="odd/"),
         connector("changing", c, range_bytes=65536))
    wait_rows(host, {"good": 80, "long": 2, "changed": 300, "odd": 4})
    wait_state(host, "one", "degraded", "2-denied.csv answered 403 AccessDenied")
    look_ok(host, "odd")
    said = " ".join(letters(host))
    for words in ("the store has no column colour", "the packed data are damaged or end early", "longer than 65536 bytes", "the object changed while it was read"):
        check(words in said, "a dead letter says so", words, said)
    torn, changing = stored(host).get("torn", [0, 0]), stored(host)["changing"]
    check(torn[0] == torn[1] < 3000 and changing[0] == changing[1] < 40000, "what came of the broken ones", torn, changing)
    del b.moods["in/2-denied.csv"]
    wait_rows(host, {"denied": 10, "good": 80})
    look_ok(host, "one")
    wait_rows(host, {"good": 80, "long": 2, "changed": 300})


def trust():
    folder = pems.make(harness.folder())
    host = harness.Host().start()
    ca = {"tls": {"ca": {"pem": (folder / "ca.pem").read_text()}}}
    buckets = {}
    for name in ("server", "expired", "elsewhere", "lonely"):
        buckets[name] = b = Bucket()
        b.put("1.ndjson", ndjson(name, 5))
        b.server = tls_server(folder, name, b)
    give(host, *[connector(n, b, "ndjson", **ca) for n, b in buckets.items()])
    for name, words in (("expired", "certificate has expired"), ("elsewhere", "no alternative certificate subject name matches"),
                        ("lonely", "self-signed certificate")):
        wait_state(host, name, "needs_you", words)
    look_ok(host, "server")
    wait_rows(host, {"server": 5})
    buckets["expired"].server.tls.load_cert_chain(folder / "server.pem", folder / "server.key")
    again(host, "expired")
    wait_rows(host, {"expired": 5})


harness.main(kinds, news, crashes, failures, one_of_many, trust)
