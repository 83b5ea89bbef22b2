"""A journal that was deleted, and a database that was restored from an older dump: the host takes rows, writes none, says
why and what to do, and goes on when somebody accepts the loss. Nothing is passed over in silence, nothing comes twice."""
import os
import shutil
import subprocess

import harness
import senders
from harness import check, equal, say, wait_for


def make_host():
    host = harness.Host()
    template = host.folder / "faults.yaml"
    template.write_text(senders.TEMPLATE)
    host.start()
    host.apply(template)
    host.workspace("ws", "faults")
    return host


def send(host, first, n, wait="stored"):
    body = [senders.row(i) for i in range(first, first + n)]
    return host.ingest("ws", "plain", body, wait=wait)


def stored(host):
    return sorted(int(r[0]) for r in host.sql("SELECT n FROM datastore.plain_wid1"))


def stack(host):
    return host.api("GET", "/system").json["stack"]


def held(host, words):
    """The host answers, is not ready, and says why."""
    system = wait_for("the host says what is wrong",
                      lambda: (s := host.api("GET", "/system").json)["state"] == "degraded" and words in s["problem"] and s)
    check("penstock journal adopt --accept-loss" in system["try"], "it says what to do", system)
    equal(host.request("GET", "/readyz").status, 503, "ready")
    return system


def adopt(host):
    host.cli("journal", "adopt", code=2)
    host.cli("journal", "adopt", "--accept-loss", "--confirm", "somebody else's", code=7)
    held(host, "")
    return host.cli_json("journal", "adopt", "--accept-loss", "--confirm", stack(host))


def deleted():
    host = make_host()
    send(host, 0, 100)
    host.kill()
    shutil.rmtree(host.state / "journal")
    host.launch()
    host.login()
    held(host, "is missing")
    equal(send(host, 1000, 50, wait=None)["accepted"], 50, "rows are taken meanwhile")
    equal(stored(host), list(range(100)), "and not written")
    equal(adopt(host)["journals"], 1, "journals given up")
    wait_for("the rows that waited are written", lambda: stored(host) == [*range(100), *range(1000, 1050)])
    send(host, 2000, 10)
    host.kill()
    host.launch().wait_ready()
    equal(stored(host), [*range(100), *range(1000, 1050), *range(2000, 2010)], "rows after another start")
    say("a deleted journal: nothing written before it was adopted, 0 twice")


def run_as_admin(host, *words):
    _, sockets = host.postmaster()
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                          env={**os.environ, "PGHOST": sockets, "PGUSER": "penstock_admin", "PGPORT": "5432",
                               "PGPASSWORD": (host.state / "postgres.secret").read_text().strip()})
    check(done.returncode == 0, words[0], done.stderr)


def restored():
    host = make_host()
    dump = host.folder / "data.dump"
    send(host, 0, 100)
    run_as_admin(host, "pg_dump", "-Fc", "-d", "penstock_data", "-f", dump)
    send(host, 100, 100)
    equal(len(stored(host)), 200, "rows before the restore")
    wait_for("the journal has let go of them, or it would write them again",
             lambda: host.api("GET", "/system").json["journal"]["waiting_rows"] == 0)
    host.kill()
    run_as_admin(host, "dropdb", "--force", "penstock_data")
    run_as_admin(host, "pg_restore", "--create", "-d", "postgres", dump)
    host.launch().wait_ready()
    host.login()
    equal(send(host, 1000, 50, wait=None)["accepted"], 50, "rows are taken")
    system = held(host, "stopped")
    equal(stored(host), list(range(100)), "rows while the stream stands")
    say(system["problem"])
    check(adopt(host)["streams"] >= 1, "streams go on")
    wait_for("the rows that waited are written", lambda: stored(host) == [*range(100), *range(1000, 1050)])
    send(host, 2000, 10)
    equal(stored(host), [*range(100), *range(1000, 1050), *range(2000, 2010)], "rows afterwards")
    say("a restored database: the stream stopped before it passed anything over, 0 twice")


harness.main(deleted, restored)
