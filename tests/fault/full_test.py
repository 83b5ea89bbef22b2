"""A journal that meets a full disk: by others' files, by its own rows while PostgreSQL is away, and by a limit on the size of
files. Meanwhile rows are refused with 429 and Retry-After, and none is acknowledged that is not stored in the end; once
there is space again rows are taken soon, without a restart. PENSTOCK_HEALED_SECONDS says how soon (default 20, as with
sanitizers on a busy machine)."""
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time

import harness
import senders
import volume
from harness import check, equal, say, wait_for

HEALED_S = float(os.environ.get("PENSTOCK_HEALED_SECONDS", "20"))
LIMITED = (429, 503)
DATABASE_BYTES = 256 << 20
VOLUME_BYTES = 10 << 20
WAITING_FEW = 5000
IMPATIENT = 12


def make_host(keep_free=5):
    return harness.Host(settings=["--journal-size", "256MiB", "--journal-keep-free", keep_free])


def begin(host):
    template = host.folder / "faults.yaml"
    template.write_text(senders.TEMPLATE)
    host.start()
    host.apply(template)
    host.workspace("ws", "faults")
    return [senders.Client(host, 1, "plain", pause=0.002), senders.Client(host, 2, "plain", again=True, pause=0.002),
            senders.Client(host, 3, "keyed", again=True, pause=0.002)]


def start(clients):
    for client in clients:
        client.start()
    wait_for("every client has an acknowledgement", lambda: all(c.acks for c in clients), 30)


def refused_since(clients, moment):
    return [r for c in clients for r in c.refusals if r[0] > moment]


def wait_full(clients):
    moment = time.monotonic()
    wait_for("every client is refused", lambda: all(refused_since([c], moment) for c in clients), 60)


def check_refused(host, limit=None):
    """The named status, with Retry-After, what to do and which limit it was; health goes on."""
    answer = host.request("POST", "/api/v1/workspaces/ws/datastores/plain/rows", [senders.row(n) for n in range(500)])
    equal(answer.status, 429, "status while full")
    check(answer.headers["Retry-After"], "Retry-After")
    said = answer.json
    check("journal" in said["detail"] and said["hint"], "what is full and what to try", said)
    if limit:
        equal(said["limit"], limit, "the limit that was met")
    equal(host.request("GET", "/healthz").status, 200, "healthz")
    say(f"full: {answer.status}, Retry-After {answer.headers['Retry-After']}, {answer.json['detail']}")


def heal(clients, give_back):
    moment = time.monotonic()
    give_back()
    wait_for("every client is acknowledged again", lambda: all(c.first_ack_after(moment) for c in clients), 60)
    took = max(c.first_ack_after(moment) for c in clients) - moment
    say(f"healed {took:.2f} s after space was back")
    check(took <= HEALED_S, f"healed within {HEALED_S} s", took)


def finish(host, clients, what, may_be=(429,)):
    for client in clients:
        client.stop()
    statuses = sorted({status for c in clients for _, status, _ in c.refusals})
    refused = sum(len(c.refusals) for c in clients)
    wait_for("the journal is empty", lambda: senders.waiting_rows(host) == 0, 60)
    for store in ("plain", "keyed"):
        acked, lost, twice, strange = senders.losses(host, store, clients)
        say(f"{what}: {store}: {acked} rows acknowledged, {lost} lost, {twice} twice")
        equal((lost, twice, strange), (0, 0, 0), f"{store}: rows lost, twice, never sent")
    say(f"{what}: {refused} requests refused, with {statuses}")
    check(set(statuses) <= set(may_be), "statuses of what was refused", statuses)
    equal(host.process.poll(), None, "the host runs on")


@contextlib.contextmanager
def standing_still(host):
    """PostgreSQL, so that the journal keeps what it gets and must grow."""
    pids = harness.family(host.postmaster()[0])
    harness.signal_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        harness.signal_all(pids, signal.SIGCONT)


def filled_by_others():
    host = make_host()
    disk = volume.Volume(host.state / "journal", VOLUME_BYTES)
    try:
        clients = begin(host)
        start(clients)
        with standing_still(host):
            disk.fill()
            wait_full(clients)
            check_refused(host, limit={"name": "journal.keep_free", "value": 5, "set_by": "platform"})
            heal(clients, disk.give_back)
        finish(host, clients, "filled by others")
    finally:
        disk.close()


def filled_by_itself():
    """PostgreSQL stands still until the journal has the whole disk; then what waits must still come out of it."""
    host = make_host(keep_free=0)  # to the last byte
    disk = volume.Volume(host.state / "journal", VOLUME_BYTES)
    try:
        clients = begin(host)
        # So many that somebody asks all the time: what takes rows out again must not wait until nobody does.
        clients += [senders.Client(host, 10 + i, "plain", again=True) for i in range(IMPATIENT)]
        start(clients)
        with standing_still(host):
            wait_full(clients)
            check_refused(host)
        heal(clients, lambda: None)
        finish(host, clients, "filled by itself")
    finally:
        disk.close()


def limited():
    """No disk of our own is needed: the kernel refuses a file beyond so many bytes. It may refuse in the middle of a write,
    which is an error like a bad disk's (503), and the journal is read again."""
    host = make_host()
    clients = begin(host)
    start(clients)
    no_limit = resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE)
    with standing_still(host):
        size = os.stat(host.state / "journal" / "data.mdb").st_size
        resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (size, no_limit[1]))
        wait_full(clients)  # what finds room between the journal's pages is taken nevertheless, so nothing is asked here
        said = clients[0].refusals[-1]
        check(b"journal" in said[2], "what is full", said)
        equal(host.request("GET", "/healthz").status, 200, "healthz")
        heal(clients, lambda: resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, no_limit))
    finish(host, clients, "limited", LIMITED)


def database_filled():
    """PostgreSQL's own disk: it may give up transactions or itself; rows wait in the journal, which is elsewhere."""
    host = make_host()
    clients = begin(host)
    host.stop()
    host.end_database()
    cluster, elsewhere = host.state / "postgres", host.state / "postgres.first"
    cluster.rename(elsewhere)
    disk = volume.Volume(cluster, DATABASE_BYTES)
    try:
        subprocess.run(["cp", "-a", f"{elsewhere}/.", str(cluster)], check=True)
        shutil.rmtree(elsewhere)
        host.launch(same_port=True).wait_ready()
        start(clients)
        disk.fill()
        moment = time.monotonic()
        wait_for("rows wait", lambda: senders.waiting_rows(host) > WAITING_FEW, 60)
        check(all(c.first_ack_after(moment) for c in clients), "every client is acknowledged meanwhile")
        disk.give_back()
        wait_for("what waited is stored", lambda: senders.waiting_rows(host) < WAITING_FEW, 60)
        for client in clients:
            client.stop()
        finish(host, clients, "database filled", ())
    finally:
        host.stop()
        host.end_database()  # while its folder is still to be seen
        disk.close()


harness.main(filled_by_others, filled_by_itself, limited, database_filled)
