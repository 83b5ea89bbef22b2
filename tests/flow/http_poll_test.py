"""http_poll against a server of the test's own: each way of paging and of logging in, and each way in which a far side can
fail. What must hold throughout: every row is in the store once, and the connector's state says within five seconds what is
wrong."""
import base64
import json
import threading
import time
import urllib.parse

import harness
import pems
import pulled
from far_http import Absent, Server, again, look_ok, ok, tls_server, wait_state
from harness import check, equal, wait_for
from pulled import row

def give(host, *connectors):
    pulled.give(host, *connectors, key=pulled.UNIQUE)


def stored(host):
    return {(r[0], int(r[1])): float(r[2]) for r in host.sql(
        "SELECT device, extract(epoch from time)::bigint, value FROM datastore.readings_wid1")}


def api(name, server, path=None, decode=None, **config):
    """A connector whose rows are of the device that is called like it."""
    return pulled.connector(name, "http-poll", {"url": server.url + (path or "/" + name), **config}, "json", decode)


def of(rows, device):
    return {t: v for (d, t), v in rows.items() if d == device}


def asked(server, path):
    return [r for r in server.all() if r["path"] == path]


class Pages:
    """Each way in which 25 rows come in pages of 10. The path names the way and the device."""
    ROWS, SIZE = 25, 10

    def __init__(self):
        self.log = [row(n, "keep") for n in range(12)]

    def rows(self, device, start):
        return [row(n, device) for n in range(start, min(start + self.SIZE, self.ROWS))]

    def __call__(self, r):
        return getattr(self, "on_" + r["path"].strip("/").split("/")[0])(r["query"], r)

    def on_page(self, q, r):
        return ok(self.rows("page", (int(q["page"]) - 1) * self.SIZE))

    def on_offset(self, q, r):
        check(q["limit"] == str(self.SIZE), "the size is asked for", q)
        return ok({"data": {"items": self.rows("offset", int(q["offset"]))}})

    def on_cursor(self, q, r):
        start = int(q.get("after", "at 0")[3:])
        following = f"at {start + self.SIZE}" if start + self.SIZE < self.ROWS else None
        return ok({"items": self.rows("cursor", start), "meta": {"next": following}})

    def on_keep(self, q, r):
        start = int(q.get("after", 0))
        items = self.log[start:start + self.SIZE]
        return ok({"items": items, "last": start + len(items)})

    def on_link(self, q, r):
        start = int(q.get("p", 0))
        link = f'</link?p={start + self.SIZE}>; rel="next", </link>; rel=first' if start + self.SIZE < self.ROWS else "</link>; rel=first"
        return ok(self.rows("link", start), Link=link)

    def on_linkbody(self, q, r):
        start = int(q.get("p", 0))
        return ok({"items": self.rows("linkbody", start), "next": f"?p={start + self.SIZE}" if start + self.SIZE < self.ROWS else ""})

    def on_series(self, q, r):
        return ok({"series": [{"tag": "series", "points": [[f"01.07.2026 12:00:{n:02d}", n] for n in range(25)]}]})

    def on_plant(self, q, r):
        return ok([{"time": row(n)["time"], "value": int(q["plant"]) + n} for n in range(3)])

    def on_window(self, q, r):
        return ok([row(0, "window")] if q["from"] < q["to"] else [])

    def on_etag(self, q, r):
        if r["headers"]["If-None-Match"] == '"one"':
            return 304, {"ETag": '"one"'}, b""
        return ok([row(n, "etag") for n in range(25)], ETag='"one"')

    def on_posted(self, q, r):
        wanted = json.loads(r["body"])
        return ok([row(n, wanted["device"]) for n in range(25)])


def paging():
    pages = Pages()
    server = Server(pages)
    items = {"path": "$.items[*]"}
    host = harness.Host().start()
    give(host,
         api("page", server, paging={"by": "page", "parameter": "page", "size": 10}),
         api("offset", server, decode={"path": "$.data.items[*]"},
             paging={"by": "offset", "parameter": "offset", "size": 10, "size_parameter": "limit", "records": "/data/items"}),
         api("cursor", server, decode=items, paging={"by": "cursor", "parameter": "after", "next": "/meta/next"}),
         api("keep", server, decode=items, paging={"by": "cursor", "parameter": "after", "next": "/last", "keep": True}),
         api("link", server, paging={"by": "link"}),
         api("linkbody", server, decode=items, paging={"by": "link", "next": "/next"}),
         api("series", server, decode={"path": "$.series[*].points[*]", "map": {
             "device": "$.series[*].tag", "time": {"from": ".[0]", "time": "%d.%m.%Y %H:%M:%S", "zone": "Europe/Berlin"}, "value": ".[1]"}}),
         api("plant", server, path="/plant/{kind}", decode={"map": {"device": "$topic"}}, query={"plant": "{number}"},
             sites={"north": {"number": "17", "kind": "a b"}, "south": {"number": "18", "kind": "c/d"}}),
         api("window", server, query={"from": "{from}", "to": "{to}"},
             window={"first_s": 3600, "again_s": 60, "format": "%Y-%m-%d %H:%M:%S"}),
         api("etag", server),
         api("posted", server, body='{"device": "posted", "since": "{site}"}'))
    whole = ("page", "offset", "cursor", "link", "linkbody", "series", "etag", "posted")
    wait_for("all pages of all", lambda: [len(of(stored(host), d)) for d in whole] == [25] * len(whole), 60)
    rows = stored(host)
    first = 1772323200
    for device in whole:
        base = 1782900000 if device == "series" else first  # noon in Berlin's summer is ten o'clock UTC
        equal(of(rows, device), {base + n: float(n) for n in range(25)}, device)
    equal(of(rows, "north"), {first + n: 17.0 + n for n in range(3)}, "a site by its topic")
    equal(of(rows, "south"), {first + n: 18.0 + n for n in range(3)}, "the other")
    check(asked(server, "/plant/a%20b") and asked(server, "/plant/c%2Fd"), "values are encoded", {r["path"] for r in server.all()})

    for name, rows in (("page", 10), ("offset", 10), ("plant", 6), ("series", 10)):
        seen = host.api("POST", f"/workspaces/one/connectors/{name}:check").json
        shown = {json.dumps(r["row"], sort_keys=True) for r in seen["rows"]}  # who is due again meanwhile is asked again
        check(seen["checked"] and len(shown) == rows and not seen["rejects"], f"check of {name}", seen)
    for name in ("page", "offset"):
        seen = host.api("POST", f"/workspaces/one/connectors/{name}:discover").json
        check("format: date-time" in seen["yaml"] and "device" in seen["yaml"], f"discover of {name}", seen)

    wait_for("what is new in a log", lambda: len(of(stored(host), "keep")) == 12)
    pages.log += [row(n, "keep") for n in range(12, 15)]
    wait_for("what is new in a log", lambda: len(of(stored(host), "keep")) == 15)
    equal(sum("after" not in r["query"] for r in asked(server, "/keep")), 1, "the log is begun once")

    wait_for("an answer that is known", lambda: len(asked(server, "/etag")) >= 3)
    equal([r["headers"]["If-None-Match"] for r in asked(server, "/etag")][:3], [None, '"one"', '"one"'], "validators")
    wait_for("three windows", lambda: len(asked(server, "/window")) >= 3)
    at = [{k: time.mktime(time.strptime(v, "%Y-%m-%d %H:%M:%S")) for k, v in r["query"].items()} for r in asked(server, "/window")]
    equal(at[0]["to"] - at[0]["from"], 3600, "how far the first window goes back")
    equal([b["from"] - a["to"] for a, b in zip(at, at[1:])], [-60] * (len(at) - 1), "each begins before the end of the one before")
    check(host.sql("SELECT count(*) FROM penstock.dead_letter_wid1")[0][0] == "0", "dead letters")


class Gate:
    """Lets in who may: the path says how."""

    def __init__(self):
        self.tokens, self.logins = {}, []

    def __call__(self, r):
        kind = r["path"].strip("/")
        if kind in ("token", "token2", "session"):
            return getattr(self, kind)(r)
        device = {"header": "header", "basic": "basic"}.get(kind, kind)
        return ok([row(n, device) for n in range(3)]) if getattr(self, "may_" + kind)(r["headers"]) else (401, {}, b"no")

    def may_header(self, h):
        return h["X-Api-Key"] == "key s3cret" and h["X-Plain"] == "yes"

    def may_basic(self, h):
        return h["Authorization"] == "Basic " + base64.b64encode(b"me:s3cret").decode()

    def may_oauth(self, h):
        return h["Authorization"] == f"Bearer {self.tokens.get('oauth')}"

    def may_login(self, h):
        return h["X-Session"] == self.tokens.get("login")

    def new(self, kind, r):
        self.logins.append(kind)
        self.tokens[kind] = f"{kind}-token-{len(self.logins)}"
        check(not r["headers"]["X-Plain"], "a login gets no headers of the API")
        return self.tokens[kind]

    def token(self, r):
        form = dict(urllib.parse.parse_qsl(r["body"].decode()))
        if form != {"grant_type": "client_credentials", "client_id": "penstock", "client_secret": "s3cret", "scope": "read all"}:
            return 401, {}, {"error": "invalid_client"}
        return ok({"access_token": self.new("oauth", r), "expires_in": 3600, "token_type": "Bearer"})

    def token2(self, r):
        form = dict(urllib.parse.parse_qsl(r["body"].decode()))
        who = "Basic " + base64.b64encode(b"pen%3Astock:s3cret").decode()
        if form != {"grant_type": "client_credentials"} or r["headers"]["Authorization"] != who:
            return 401, {}, {"error": "invalid_client"}
        return ok({"access_token": self.new("oauth2", r), "token_type": "Bearer"})

    def may_oauth2(self, h):
        return h["Authorization"] == f"Bearer {self.tokens.get('oauth2')}"

    def session(self, r):
        if json.loads(r["body"]) != {"username": "me", "password": "s3cret", "tenant": 'a "b"'}:
            return 403, {}, b"no"
        return ok({"data": {"token": self.new("login", r), "seconds": 4}})


def credentials():
    gate = Gate()
    server = Server(gate)
    host = harness.Host().start()
    oauth = {"token_url": server.url + "/token", "client_id": "penstock", "client_secret": "api", "scope": "read all"}
    ways = {"header": {"header": {"name": "X-Api-Key", "prefix": "key ", "value": "api"}},
            "basic": {"basic": {"user": "me", "password": "api"}},
            "oauth": {"oauth": oauth},
            "oauth2": {"oauth": {"token_url": server.url + "/token2", "client_id": "pen:stock", "client_secret": "api", "send": "basic"}},
            "login": {"login": {"url": server.url + "/session", "user": "me", "password": "api", "fields": {"tenant": 'a "b"'},
                                "token": "/data/token", "lives": "/data/seconds", "header": "X-Session", "prefix": ""}}}
    give(host, *[api(k, server, auth=v, headers={"X-Plain": "yes"}) for k, v in ways.items()])
    for name in ways:
        wait_state(host, name, "needs_you", "secret", 15)
    host.cli("secret", "set", "api", "-w", "one", stdin="wrong")
    wait_state(host, "oauth", "needs_you", "401 invalid_client")
    wait_state(host, "login", "needs_you", "403")
    wait_state(host, "basic", "needs_you", "401: it refuses the credential")
    host.cli("secret", "set", "api", "-w", "one", stdin="s3cret")
    for name in ways:
        look_ok(host, name)  # a new secret is tried at once
    wait_for("all come in", lambda: all(len(of(stored(host), k)) == 3 for k in ways))
    wait_for("a token is renewed before its end", lambda: gate.logins.count("login") >= 2, 15)
    equal(gate.logins.count("oauth"), 1, "a token is used until it ends")
    check(all(r["headers"]["X-Session"] for r in asked(server, "/login")), "no question without a token")
    gate.tokens["oauth"] = "another"  # the far side has forgotten it
    wait_for("a refused token is renewed", lambda: gate.logins.count("oauth") == 2)
    wait_for("and used", lambda: asked(server, "/oauth")[-1]["headers"]["Authorization"] == f"Bearer {gate.tokens['oauth']}")
    look_ok(host, "oauth")
    host.stop()
    host.start()
    before = len(asked(server, "/oauth"))
    wait_for("it is asked again", lambda: len(asked(server, "/oauth")) > before + 1, 20)
    equal(gate.logins.count("oauth"), 2, "a token outlives the host")
    for secret in ("s3cret", "oauth-token", "login-token"):
        check(secret not in host.log(), "no secret in the log", secret)


class Moody:
    """Answers as its path says until it is told to be well."""

    def __init__(self):
        self.well, self.gone = set(), threading.Event()

    def __call__(self, r):
        name = r["path"].strip("/")
        if name in self.well or name.startswith("fine"):
            return ok([row(n, name) for n in range(3)])
        return getattr(self, "on_" + name)(r)

    def on_silent(self, r):
        self.gone.wait(30)

    def on_half(self, r):
        r["connection"].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{")
        self.gone.wait(30)

    def on_cut(self, r):
        return None

    def on_busy(self, r):
        return 429, {"Retry-After": "2"}, b""

    def on_later(self, r):
        return 503, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}, b""

    def on_broken(self, r):
        return 500, {}, b"a stack trace"

    def on_missing(self, r):
        return 404, {}, b""

    def on_garbage(self, r):
        return ok(b"<html>Sorry</html>")

    on_garbagepage = on_garbage

    def on_big(self, r):
        return ok(b" " * 2000 + b"[]")

    def on_exact(self, r):
        body = json.dumps([row(n, "exact") for n in range(3)]).encode()
        return ok(body + b" " * (1024 - len(body)))

    def on_onemore(self, r):
        return ok(self.on_exact(r)[2] + b" ")

    def on_loop(self, r):
        return ok({"items": [row(0, "loop")], "next": "same"})

    def on_endless(self, r):
        return ok([row(r["n"] % 1000, "endless")])

    def on_away(self, r):
        return 302, {"Location": self.other.url + "/fine-away"}, b""

    on_named = on_away

    def on_moved(self, r):
        return 307, {"Location": "/fine-moved?again=1"}, b""

    def on_expired(self, r):
        if r["query"].get("after") == "old":
            return 410, {}, b"gone"
        return ok({"items": [row(0, "expired")], "next": "old" if r["n"] == 0 else None})


def failures():
    moods, listed = Moody(), Moody()
    server, other = Server(moods), Server(listed)
    moods.other = other
    closed = Absent(moods)
    host = harness.Host().start()
    quick = {"timeout_ms": 4000}
    host.launched = time.monotonic()
    give(host,
         api("silent", server, **quick), api("half", server, **quick), api("cut", server), api("busy", server), api("later", server),
         api("broken", server), api("missing", server), api("garbage", server),
         api("garbagepage", server, paging={"by": "page", "parameter": "p"}), api("big", server, max_answer_bytes=1024),
         api("exact", server, max_answer_bytes=1024), api("onemore", server, max_answer_bytes=1024),
         api("loop", server, decode={"path": "$.items[*]"}, paging={"by": "cursor", "parameter": "after", "next": "/next"}),
         api("endless", server, paging={"by": "page", "parameter": "p", "most": 20}),
         api("away", server), api("named", server, redirect_to=[other.url], headers={"X-Key": "ours"}), api("moved", server),
         api("expired", server, decode={"path": "$.items[*]"}, paging={"by": "cursor", "parameter": "after", "next": "/next"}),
         api("closed", closed, path="/closed"))
    for name, state, words in (
            ("cut", "down", "/cut failed: Empty reply"), ("closed", "down", "Failed to connect"),
            ("silent", "degraded", "waiting for an answer from"), ("half", "degraded", "waiting for an answer from"),
            ("busy", "degraded", "answered 429"), ("later", "degraded", "answered 503"), ("broken", "down", "answered 500"),
            ("missing", "needs_you", "answered 404; check url"), ("garbagepage", "down", "not JSON"), ("big", "down", "more than 1024 bytes"),
            ("onemore", "down", "more than 1024 bytes"), ("loop", "down", "the same next page twice"),
            ("endless", "needs_you", "more than 20 pages"),
            ("away", "needs_you", "add it to redirect_to")):
        wait_state(host, name, state, words)
    for name in ("silent", "half"):
        wait_state(host, name, "down", "timed out")
    look_ok(host, "garbage")
    look_ok(host, "exact")
    equal(len(of(stored(host), "exact")), 3, "an answer of just as many bytes")
    wait_for("an answer of 200 that is none is a dead letter",
             lambda: host.sql("SELECT count(*) FROM penstock.dead_letter_wid1")[0][0] != "0")
    wait_for("redirects", lambda: {"fine-away", "fine-moved"} <= {d for d, _ in stored(host)})
    check(not any(r["headers"]["X-Key"] for r in other.all()), "another server gets no headers of ours")
    wait_for("a cursor that has run out", lambda: len(asked(server, "/expired")) >= 4)
    equal([r["query"].get("after") for r in asked(server, "/expired")][:3], [None, "old", None], "the poll begins anew")
    wait_for("some tries", lambda: len(asked(server, "/busy")) >= 3)
    times = [r["at"] for r in asked(server, "/busy")]
    check(all(b - a >= 1.99 for a, b in zip(times, times[1:])), "not before Retry-After", times)
    equal(len(asked(server, "/later")), 1, "a date is kept, an hour at most")
    moods.gone.set()
    everyone = ("silent", "half", "cut", "busy", "later", "broken", "missing", "garbagepage", "big", "closed")
    moods.well.update(everyone)
    closed.come()
    again(host, *everyone)
    for name in everyone:
        look_ok(host, name)
    wait_for("their rows", lambda: all(len(of(stored(host), n)) == 3 for n in everyone))


def sites_and_rates():
    moods = Moody()
    server = Server(moods)
    host = harness.Host().start()
    rate = {"per_second": 4, "burst": 1, "provider": "api.example.com"}
    give(host,
         api("sites", server, path="/{path}", sites={"good": {"path": "fine"}, "bad": {"path": "broken"}, "worse": {"path": "cut"}}),
         api("allbad", server, path="/{path}", sites={"a": {"path": "broken"}, "b": {"path": "cut"}}),
         *[api(f"fine{n}", server, rate=rate) for n in range(4)])
    wait_state(host, "sites", "degraded", "2 of 3 sites fail; bad: ")
    wait_state(host, "allbad", "down")
    n = len(asked(server, "/fine"))
    wait_for("the good one is asked as ever", lambda: len(asked(server, "/fine")) >= n + 3, 8)
    tries = [r["at"] for r in asked(server, "/broken")]
    check(len(tries) < 24, "one that fails backs off", tries)
    wait_state(host, "sites", "degraded", "2 of 3 sites fail; bad: ", 0.1)
    moods.well.update(("broken", "cut"))
    look_ok(host, "sites", 20)
    wait_for("their rows", lambda: {"fine", "broken", "cut"} <= {d for d, _ in stored(host)})
    times = sorted(r["at"] for r in server.all() if r["path"].startswith("/fine") and r["path"] != "/fine")
    took = times[-1] - times[0]
    check(len(times) > 8 and len(times) <= took * 4 + 2, "one rate for all of a provider", len(times), took)


def one_rate_for_all_workspaces():
    """Each of two would ask eight times a second, and may four times; together they may no more than that."""
    server = Server(Moody())
    host = harness.Host().start()
    rate = {"per_second": 4, "burst": 1, "provider": "api.example.com"}
    give(host, *[api(f"fine{n}", server, rate=rate) for n in range(8)])
    host.workspace("two", "pulled")
    here = lambda wid: {r[0] for r in host.sql(f"SELECT DISTINCT device FROM datastore.readings_wid{wid}")}
    wait_for("rows of several in both", lambda: min(len(here(1)), len(here(2))) >= 4, 30)  # which go first is chance
    start = time.monotonic()
    wait_for("two dozen questions", lambda: sum(r["at"] > start for r in server.all()) >= 24, 20)
    times = [r["at"] for r in server.all() if r["at"] > start]
    took = times[-1] - times[0]
    check(len(times) <= took * 4 + 2, "one rate for both", len(times), took)


def trust():
    folder = pems.make(harness.folder())
    moods = Moody()
    server, picky = tls_server(folder, "server", moods), tls_server(folder, "server", moods, client=True)
    lonely, expired, elsewhere = (tls_server(folder, name, moods) for name in ("lonely", "expired", "elsewhere"))
    ca = (folder / "ca.pem").read_text()

    def through(r):  # as a proxy of plain HTTP is asked: the whole URL stands in the request
        allowed = r["headers"]["Proxy-Authorization"] == "Basic " + base64.b64encode(b"us:s3cret").decode()
        return ok([row(0, "fine_proxied")]) if allowed else (407, {}, b"")

    proxy = Server(through)
    host = harness.Host(files=[folder]).start()
    client = {"ca": {"pem": ca}, "certificate": {"file": str(folder / "client.pem")}, "key": {"secret": "client_key"}}
    give(host,
         api("fine_file", server, tls={"ca": {"file": "ca.pem"}}), api("fine_pem", server, tls={"ca": {"pem": ca}}),
         api("fine_secret", server, tls={"ca": {"secret": "authority"}}), api("fine_client", picky, tls=client),
         api("nobody", server), api("lonely", lonely, tls={"ca": {"pem": ca}}), api("anonymous", picky, tls={"ca": {"pem": ca}}),
         api("expired", expired, tls={"ca": {"pem": ca}}), api("elsewhere", elsewhere, tls={"ca": {"pem": ca}}),
         api("outside", server, tls={"ca": {"file": "/etc/ssl/certs/ca-certificates.crt"}}),
         api("rubbish", server, tls={"ca": {"pem": "no certificate"}}),
         pulled.connector("fine_proxied", "http-poll", {"url": "http://unreachable.example.com/fine_proxied",
                                                        "proxy": {"url": proxy.url, "user": "us", "password": "proxy"}}, "json"))
    host.cli("secret", "set", "authority", "-w", "one", stdin=ca)
    host.cli("secret", "set", "client_key", "-w", "one", stdin=(folder / "client.key").read_text())
    host.cli("secret", "set", "proxy", "-w", "one", stdin="s3cret")
    fine = ("fine_file", "fine_pem", "fine_secret", "fine_client", "fine_proxied")
    wait_for("those that are trusted", lambda: {d for d, _ in stored(host)} == set(fine))
    for name in fine:
        look_ok(host, name)
    wait_state(host, "nobody", "needs_you", "is not trusted: SSL certificate problem")
    wait_state(host, "lonely", "needs_you", "is not trusted: SSL certificate problem: self-signed certificate")
    wait_state(host, "expired", "needs_you", "certificate has expired")
    wait_state(host, "elsewhere", "needs_you", "no alternative certificate subject name matches")
    wait_state(host, "anonymous", "down", "/anonymous failed: ")  # by TLS 1.3 an alert, or a reset before it is read
    wait_state(host, "outside", "needs_you", "files.allow")
    wait_state(host, "rubbish", "down")
    check("PRIVATE KEY" not in host.log() and "s3cret" not in host.log(), "no secret in the log")


class Series:
    """Pages of a log that grows, as a far side that restarts would tell them: nothing twice, nothing left out."""
    PAGE = 50

    def __init__(self):
        self.n, self.answered = 0, 0

    def __call__(self, r):
        start = int(r["query"].get("after", 0))
        rows = [row(n, "log", value=n) for n in range(start, min(start + self.PAGE, self.n))]
        self.answered += 1
        return ok({"items": rows, "next": start + len(rows)})


def crashes():
    series = Series()
    series.n = 400
    server = Server(series)
    host = harness.Host().start()
    give(host, api("log", server, decode={"path": "$.items[*]"}, paging={"by": "cursor", "parameter": "after", "next": "/next", "keep": True}))
    wait_for("the first pages", lambda: len(stored(host)) >= 100)
    for life in range(3):
        series.n += 400
        answered = series.answered
        wait_for("it is in the middle of it", lambda: series.answered >= answered + 2)
        host.kill()
        port = server.port
        server.close()
        if life % 2:
            server = Server(series, port=port)
        host.start()
        if not life % 2:
            server = Server(series, port=port)
    wait_for("all of it", lambda: len(stored(host)) == series.n, 90)
    equal(host.sql("SELECT count(*), count(DISTINCT time) FROM datastore.readings_wid1")[0], [str(series.n)] * 2, "once each")
    equal(of(stored(host), "log"), {1772323200 + n: float(n) for n in range(series.n)}, "the rows")
    first = [int(r["query"].get("after", 0)) for r in server.all()]
    check(sorted(first) == first, "the place is never behind what was acknowledged", first)


harness.main(paging, credentials, failures, sites_and_rates, one_rate_for_all_workspaces, trust, crashes)
