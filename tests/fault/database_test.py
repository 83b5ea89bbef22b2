"""PostgreSQL away: when the host starts, killed under load, kept away for longer than keys are remembered, and stopped in
mid-sentence, and its backends killed between a COMMIT and the answer to it. Ingest is acknowledged by the journal all the
while; when PostgreSQL is back every acknowledged row appears, once. A private PostgreSQL that has died is started again
by the host.

PENSTOCK_AWAY_SECONDS says how long PostgreSQL is away or stopped (default 12: longer than a key is remembered),
PENSTOCK_COMMIT_KILLS how often a COMMIT gets no answer (6), PENSTOCK_ACK_P99_SECONDS what 99 of 100 acknowledgements may
take (2, as with sanitizers on a busy machine), PENSTOCK_SEED which COMMITs and moments (printed)."""
import os
import random
import signal
import time

import commit_proxy
import harness
import senders
from harness import check, equal, say, wait_for

AWAY_S = float(os.environ.get("PENSTOCK_AWAY_SECONDS", "12"))
COMMIT_KILLS = int(os.environ.get("PENSTOCK_COMMIT_KILLS", "6"))
SEED = int(os.environ.get("PENSTOCK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
ACK_P99_S = float(os.environ.get("PENSTOCK_ACK_P99_SECONDS", "2"))


def make_host():
    host = harness.Host()
    template = host.folder / "faults.yaml"
    template.write_text(senders.TEMPLATE)
    host.start()
    host.apply(template)
    host.workspace("ws", "faults")
    return host


def start_clients(host):
    """One that never sends again and two that do, acknowledged by the journal; and one that waits for the table."""
    clients = [senders.Client(host, 1, "plain", pause=0.01), senders.Client(host, 2, "plain", again=True, pause=0.01),
               senders.Client(host, 3, "keyed", again=True, pause=0.01),
               senders.Client(host, 4, "keyed", again=True, wait=True, pause=0.01)]
    for client in clients:
        client.start()
    wait_for("every client has an acknowledgement", lambda: all(c.acks for c in clients), 30)
    return clients


def keep_acknowledging(clients, seconds):
    """For so long; every client must get acknowledgements in its last second too."""
    time.sleep(seconds)  # the outage itself
    mark = time.monotonic()
    wait_for("every client is still acknowledged", lambda: all(c.acks[-1][0] > mark for c in clients if not c.wait), 10)


def finish(host, clients, since, what):
    """Everything acknowledged is there once; how long the acknowledgements took during the outage."""
    host.wait_ready()
    for client in clients:
        client.stop()
    wait_for("the journal is empty", lambda: senders.waiting_rows(host) == 0, 60)
    for store in ("plain", "keyed"):
        acked, lost, twice, strange = senders.losses(host, store, clients)
        say(f"{what}: {store}: {acked} rows acknowledged, {lost} lost, {twice} twice")
        equal((lost, twice, strange), (0, 0, 0), f"{store}: rows lost, twice, never sent")
    refused = [r for c in clients if not c.wait for r in c.refusals]
    took = [seconds for c in clients if not c.wait for when, seconds in c.acks if when > since]
    p99 = senders.percentile(took, 0.99)
    say(f"{what}: {len(took)} acknowledgements, median {1000 * senders.percentile(took, 0.5):.1f} ms, p99 {1000 * p99:.1f} ms,"
        f" slowest {1000 * max(took):.1f} ms")
    equal(refused[:3], [], "requests that were refused")
    check(p99 <= ACK_P99_S, f"p99 of the acknowledgements within {ACK_P99_S} s", p99)


def away_at_the_start():
    host = make_host()
    host.stop()
    host.end_database()
    (host.state / "snapshot").unlink(missing_ok=True)  # snapshot_test.py is the test with it
    with host.without_database():
        host.launch(same_port=True)
        equal(host.request("GET", "/healthz").status, 200, "healthz without PostgreSQL")
        answer = wait_for("readyz says why", lambda: (a := host.request("GET", "/readyz")) and "database" in a.text and a, 30)
        equal(answer.status, 503, "readyz")
        say(f"readyz: {answer.text.strip()}")
        refused = host.request("POST", "/api/v1/workspaces/ws/datastores/plain/rows", [senders.row(1)])
        equal((refused.status, refused.headers["Content-Type"]), (503, "application/problem+json"), "a row meanwhile")
    host.wait_ready()
    equal(host.ingest("ws", "plain", [senders.row(1)])["accepted"], 1, "accepted rows once it is back")


def killed_under_load():
    host = make_host()
    clients = start_clients(host)
    pid, _ = host.postmaster()
    since = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    fresh = wait_for("the host starts PostgreSQL again", lambda: (p := host.postmaster()) and p[0] != pid and p, 60)
    started = time.monotonic()
    row = wait_for("rows are stored again", lambda: clients[-1].first_ack_after(started), 60)
    say(f"killed: PostgreSQL runs again after {started - since:.1f} s, rows are stored again after {row - since:.1f} s")
    finish(host, clients, since, "killed")


def away_for_long():
    host = make_host()
    clients = start_clients(host)
    pid, _ = host.postmaster()
    with host.without_database():
        since = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        keep_acknowledging(clients, AWAY_S)
        equal(host.request("GET", "/readyz").status, 503, "readyz while PostgreSQL is away")
    finish(host, clients, since, "away")


def stopped_in_mid_sentence():
    host = make_host()
    clients = start_clients(host)
    pids = harness.family(host.postmaster()[0])
    since = time.monotonic()
    harness.signal_all(pids, signal.SIGSTOP)
    try:
        keep_acknowledging(clients, AWAY_S)
    finally:
        harness.signal_all(pids, signal.SIGCONT)
    finish(host, clients, since, "stopped")


def told_to_end_meanwhile():
    host = make_host()
    clients = start_clients(host)
    pids = harness.family(host.postmaster()[0])
    harness.signal_all(pids, signal.SIGSTOP)
    try:
        wait_for("a row waits", lambda: senders.waiting_rows(host) > 0, 30)
        code, seconds = host.stop()
    finally:
        harness.signal_all(pids, signal.SIGCONT)
    say(f"told to end while PostgreSQL is stopped: exit {code} after {seconds:.1f} s")
    equal(code, 0, "exit code")
    check(seconds <= harness.STOP_S, f"the host ends within {harness.STOP_S} s", seconds)
    host.launch(same_port=True)
    host.wait_ready()
    for client in clients:
        client.refusals.clear()  # there was no host
    since = time.monotonic()
    wait_for("every client is acknowledged again", lambda: all(c.first_ack_after(since) for c in clients), 30)
    finish(host, clients, since, "ended")


def outcomes(host, proxy):
    """What became of the transactions whose COMMIT got no answer, by how they were hit."""
    happened = {int(row[0]) for row in host.sql("SELECT number FROM probe.commits")}
    met = [(fate, "committed" if number in happened else "aborted") for number, fate in enumerate(proxy.met)]
    return {pair: met.count(pair) for pair in sorted(set(met))}


def killed_between_commit_and_answer():
    say(f"seed {SEED}, {COMMIT_KILLS} COMMITs without an answer")
    host = make_host()
    host.sql(commit_proxy.TABLE)
    host.stop()
    proxy = commit_proxy.CommitProxy(host.postmaster()[1], SEED)
    try:
        host.launch(same_port=True).wait_ready()
        clients = start_clients(host)
        fates = [(commit_proxy.UNREAD, commit_proxy.RACE, commit_proxy.UNHEARD)[i % 3] for i in range(COMMIT_KILLS)]
        random.Random(SEED).shuffle(fates)
        since = time.monotonic()
        for number, fate in enumerate(fates, 1):
            proxy.arm(fate)
            wait_for("a writer's COMMIT is met", lambda n=number: len(proxy.met) == n, 60)
            moment = time.monotonic()
            wait_for("rows are stored again", lambda m=moment: clients[-1].first_ack_after(m), 60)
        finish(host, clients, since, "without an answer")
        found = outcomes(host, proxy)
    finally:
        proxy.close()
    committed = sum(n for (_, outcome), n in found.items() if outcome == "committed")
    say(f"of {COMMIT_KILLS} COMMITs without an answer {committed} had happened: "
        + ", ".join(f"{fate} {outcome} {n}" for (fate, outcome), n in found.items()))
    equal(sum(found.values()), COMMIT_KILLS, "transactions with an outcome")
    check(0 < committed < COMMIT_KILLS, "both outcomes occurred", found)
    equal({k for k in found if k[0] != commit_proxy.RACE},
          {(commit_proxy.UNREAD, "aborted"), (commit_proxy.UNHEARD, "committed")}, "fates that decide the outcome")


harness.main(away_at_the_start, killed_under_load, away_for_long, stopped_in_mid_sentence, killed_between_commit_and_answer,
             told_to_end_meanwhile)
