"""Dead letters: listed, shown, corrected, sent again and thrown away; whatever happens to them, each row is stored once or
still there, and the ledger balances. The store is append-only, so that a row stored twice would be seen."""
import json
import subprocess
import threading

import harness
from harness import check, equal, wait_for

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: letters, version: 1.0.0}
datastores:
  events:
    schema:
      type: object
      required: [time, n]
      additionalProperties: false
      properties:
        time: {type: string, format: date-time}
        n: {type: integer}
        note: {type: string, maxLength: 20}
    time: time
    accept: {past: any, future: any}
"""
LATER = TEMPLATE.replace("1.0.0", "1.1.0").replace("maxLength: 20", "maxLength: 200") + """
  memory:
    schema:
      type: object
      required: [time, used]
      properties:
        time: {type: string, format: date-time}
        used: {type: number}
    time: time
    accept: {past: any, future: any}
"""
TIME = "2026-01-01T00:00:00Z"
LONG = "x" * 30


def template(host, text, name="letters.yaml"):
    path = host.folder / name
    path.write_text(text)
    return path


def start(**more):
    host = harness.Host(**more).start()
    host.apply(template(host, TEMPLATE))
    host.workspace("w", "letters")
    return host


def letters(host, *flags):
    return host.cli_json("deadletter", "list", "-w", "w", *flags)["items"]


def replay(host, *words, code=0):
    return host.cli_json("deadletter", "replay", *words, "-w", "w", code=code)


def numbers(host):
    return sorted(int(n) for n, in host.sql("SELECT n FROM datastore.events_wid1"))


def balance(host, **expected):
    """Every minute adds up, and the sums are these."""
    equal(host.sql("SELECT * FROM penstock.ledger_wid1 WHERE received <> stored + duplicate + rejected + dropped"), [], "minutes that do "
          "not add up")
    names = list(expected)
    sums = host.sql("SELECT " + ", ".join(f"sum({n})::bigint" for n in names) + " FROM penstock.ledger_wid1")[0]
    equal(dict(zip(names, map(int, sums))), expected, "the ledger")
    kept = host.sql("SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM penstock.dead_letter_wid1")[0]
    equal(host.sql("SELECT sum(letters), sum(letter_bytes) FROM penstock.ledger_wid1")[0], kept, "letters in the ledger and in the table")


def refuse_five(host):
    """One in each way of writing."""
    host.ingest("w", "events", [{"time": TIME, "n": 1}, {"time": TIME, "n": "two"}])
    host.ingest("w", "events", json.dumps([{"time": TIME, "n": 3, "note": LONG}]).encode(), type="application/json")
    host.ingest("w", "events", f"note,time,n\nfine,{TIME},4\n{LONG},{TIME},5\n".encode(), type="text/csv")
    host.ingest("w", "events", b'{"time": "2026-01-01T00:00:00Z", "n": 6', type="application/x-ndjson")
    host.request("POST", "/api/v2/write?bucket=w&precision=s", b"memory used=7 1767225600\n", type="text/plain")
    wait_for("five dead letters", lambda: len(letters(host)) == 5)


def corrected_and_sent_again():
    host = start()
    refuse_five(host)
    balance(host, received=7, stored=2, rejected=5, dropped=0)
    equal(sorted(l["code"] for l in letters(host, "--store", "events")), ["json", "max_length", "max_length", "type"], "by store")
    equal(len(letters(host, "--reason", "type")), 1, "by reason")
    equal(len(letters(host, "--to", "now-1h")), 0, "by time")
    again = replay(host, "--all", code=9)
    equal((again["matched"], again["stored"], again["rejected"]), (5, 0, 5), "nothing has changed")
    equal({l["attempts"] for l in letters(host)}, {1}, "attempts")
    balance(host, received=7, stored=2, rejected=5, dropped=0)

    two = letters(host, "--reason", "type")[0]["id"]
    host.cli("deadletter", "fix", two, "-", "-w", "w", stdin='{"time": "%s", "n": 2}' % TIME)
    shown = host.cli_json("deadletter", "show", two, "-w", "w")
    equal((json.loads(shown["body"])["n"], json.loads(shown["correction"])["n"]), ("two", 2), "what came, what is sent")
    check(shown["fixed"] and shown["fixed_by"], "who corrected it", shown)
    equal(replay(host, two)["stored"], 1, "the corrected one")

    host.apply(template(host, LATER, "later.yaml"))
    host.cli("template", "apply", "-f", host.folder / "later.yaml", "-w", "w", "--yes")
    again = replay(host, "--all", code=9)
    equal((again["matched"], again["stored"], again["rejected"]), (4, 3, 1), "by the definition of now")
    equal(numbers(host), [1, 2, 3, 4, 5], "events")
    equal(host.sql("SELECT used FROM datastore.memory_wid1"), [["7"]], "of the store that was not known")
    balance(host, received=7, stored=6, rejected=1, dropped=0)
    host.cli("deadletter", "purge", "--all", "-w", "w", "--confirm", "v", code=2)
    host.cli("deadletter", "purge", "--all", "-w", "w", "--confirm", "w")
    balance(host, received=7, stored=6, rejected=0, dropped=1, purged=1)
    verbs = [e["verb"] for e in host.api("GET", "/workspaces/w/audit").json["items"] if e["object"] == "dead-letter"]
    equal(sorted(set(verbs)), ["fix", "purge", "replay"], "in the audit")
    key = host.cli("key", "create", "reader", "-w", "w", "--scope", "read:datastore:*").text.strip()
    host.request("GET", "/api/v1/workspaces/w/dead-letters", key=key)
    equal([host.request("POST", f"/api/v1/workspaces/w/dead-letters:{verb}", {"filter": {}, **more}, key=key).status
           for verb, more in (("replay", {}), ("purge", {"confirm": "w"}))], [403, 403], "a key that may read only")


class Lock:
    """Nobody writes to the table while it is held."""

    def __init__(self, host, table):
        self.host, self.table = host, table

    def __enter__(self):
        self.psql = subprocess.Popen(["psql", "-XqAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     env=self.host.psql_environment())
        self.psql.stdin.write(f"BEGIN; LOCK TABLE {self.table} IN EXCLUSIVE MODE; SELECT 'held';\n")
        self.psql.stdin.flush()
        equal(self.psql.stdout.readline().strip(), "held", "the lock")
        return self

    def __exit__(self, *why):
        self.psql.communicate("ROLLBACK;\n", timeout=20)


def send_all(host, answers):
    try:
        answers.append(host.request("POST", "/api/v1/workspaces/w/dead-letters:replay", {"filter": {}}, timeout=60))
    except OSError as e:
        answers.append(e)


def waiting(host):
    return next(int(line.split()[1]) for line in host.request("GET", "/metrics", admin=True).text.splitlines()
                if line.startswith("penstock_journal_waiting_rows "))


def refuse_and_correct(host, n):
    host.ingest("w", "events", [{"time": TIME, "n": str(i)} for i in range(n)])
    for letter in letters(host):
        row = json.loads(host.cli_json("deadletter", "show", letter["id"], "-w", "w")["body"])
        host.cli("deadletter", "fix", letter["id"], "-", "-w", "w", stdin=json.dumps({**row, "n": int(row["n"])}))


def sent_twice_and_killed():
    """Two send the same letters; the host dies with all of it in the journal; the third finds nothing left."""
    host = start()
    refuse_and_correct(host, 4)
    answers = []
    with Lock(host, "datastore.events_wid1"):
        threads = [threading.Thread(target=send_all, args=(host, answers)) for _ in range(2)]
        for t in threads:
            t.start()
        wait_for("both are in the journal", lambda: waiting(host) == 8)
        equal(len(letters(host)), 4, "letters while their rows are on the way")
        host.kill()
        for t in threads:
            t.join()
    host.start()
    wait_for("the rows are stored", lambda: len(letters(host)) == 0)
    wait_for("the journal is empty", lambda: waiting(host) == 0)
    equal(numbers(host), [0, 1, 2, 3], "each row once")
    balance(host, received=4, stored=4, rejected=0, dropped=0)
    equal(replay(host, "--all")["matched"], 0, "nothing is left")


def changed_on_the_way():
    """What was corrected, or thrown away, after it was sent is not stored as it was."""
    host = start()
    refuse_and_correct(host, 2)
    first, second = sorted(l["id"] for l in letters(host))
    answers = []
    with Lock(host, "datastore.events_wid1"):
        thread = threading.Thread(target=send_all, args=(host, answers))
        with Lock(host, "penstock.position"):
            thread.start()
            wait_for("they are in the journal", lambda: waiting(host) == 2)
            host.cli("deadletter", "fix", first, "-", "-w", "w", stdin=json.dumps({"time": TIME, "n": 10}))
            host.cli("deadletter", "purge", second, "-w", "w", "--confirm", "w")
    thread.join()
    equal((answers[0].json["gone"], answers[0].json["stored"]), (2, 0), "both were dealt with")
    equal(numbers(host), [], "nothing is stored")
    equal(replay(host, "--all")["stored"], 1, "the newest correction")
    equal(numbers(host), [10], "rows")
    balance(host, received=2, stored=1, rejected=0, dropped=1, purged=1)


def kept_up_to_a_limit():
    """At the limit one in 1,000 is kept, the others are counted."""
    host = start(settings=["--limits-dead-letters", "5"])
    for n, kept, unkept in ((4, 4, 0), (5, 5, 0), (6, 5, 1), (1000, 5, 995), (1001, 6, 995)):
        have = int(host.sql("SELECT coalesce(sum(received), 0) FROM penstock.ledger_wid1")[0][0])
        host.ingest("w", "events", [{"time": TIME, "n": "x"}] * (n - have))
        balance(host, received=n, stored=0, rejected=n, dropped=0, letters=kept, unkept=unkept)
    host.cli("deadletter", "purge", "--all", "-w", "w", "--confirm", "w")
    balance(host, received=1001, stored=0, rejected=995, dropped=6, letters=0, unkept=995)
    bytes_of_one = len('{"time": "%s", "n": "x"}' % TIME)
    equal(host.stop()[0], 0, "exit code")
    host.settings = ["--limits-dead-letter-bytes", str(25 * bytes_of_one)]
    host.start()
    host.ingest("w", "events", [{"time": TIME, "n": "x"}] * 26)
    balance(host, received=1027, stored=0, rejected=1021, dropped=6, letters=25, unkept=996)


if __name__ == "__main__":
    harness.main(corrected_and_sent_again, sent_twice_and_killed, changed_on_the_way, kept_up_to_a_limit)
