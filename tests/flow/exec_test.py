"""Programs as sources: what they write becomes rows, what they say becomes log, and however they end they are
gone, with what they started, when their source is. Only programs that the host's settings grant are run."""
import os
import signal
import time

import harness
from harness import check, equal, wait_for
from mqtt_peer import WS, state, wait_state

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: programs, version: 1.0.0, title: Programs}
datastores:
  rows:
    schema:
      type: object
      required: [time]
      additionalProperties: false
      properties:
        time: {type: string, format: date-time}
        site: {type: [string, "null"]}
        n: {type: [integer, "null"]}
        value: {type: [number, "null"]}
        word: {type: [string, "null"]}
    time: time
    accept: {past: any, future: any}
connectors:
"""
PLUGIN = "org.penstock.connector.exec"
PROGRAMS = {
    # a collector that runs for ever, with a helper of its own
    "daemon": """sleep 98765 & echo "$!" >&2
n=0; while true; do echo "level,site=daemon n=${n}i $((1774720800+n))000000000"; n=$((n+1)); sleep 0.2; done""",
    # one that writes and ends
    "once": """printf '{"time":"2026-03-28T18:00:00Z","site":"%s","word":"%s","n":%s}\\n' "$1" "$WORD" "$#" """,
    "table": """printf 'time;site;word\\n2026-03-28T18:00:00Z;table;"two\\nlines"\\n'""",
    "environment": """printf '{"time":"2026-03-28T18:00:00Z","site":"environment","word":"%s"}\\n' "$(env | cut -d= -f1 | sort | tr '\\n' ' ')" """,
    "fails": """echo "it does not work: reason-$((6*7))" >&2; exit 3""",
    "killed": "kill -9 $$",
    "garbage": """printf 'no line protocol\\nlevel,site=garbage value=1 1774720800000000000\\n'; printf 'x%.0s' $(seq 3000); echo""",
    "deaf": """trap '' TERM; echo 'level,site=deaf value=1 1774720800000000000'; while true; do sleep 1; done""",
    "secretive": """printf '{"time":"2026-03-28T18:00:00Z","site":"secretive","n":%s}\\n' "${#TOKEN}" """,
    # writes as fast as it can, on both pipes, and more than they hold
    "floods": """yes 'much to complain about' | head -c 8000000 >&2
seq -f 'level,site=floods n=%.0fi 1774720800000000000' 1 100000; sleep 1000""",
    "hangs": "echo 'level,site=hangs value=1 1774720800000000000'; sleep 1000",
    "indiscreet": """echo "the token is $TOKEN, you see" >&2; exit 1""",
    "reader": """cat; printf '{"time":"2026-03-28T18:00:00Z","site":"reader"}\\n'""",
    "forbidden": "echo never",
}


def programs(folder):
    for name, body in PROGRAMS.items():
        path = folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    return folder


def connector(folder, name, program=None, format="lp", decode="{}", paused=False, **config):
    words = ", ".join(f"{k}: {v}" for k, v in config.items())
    return (f"  {name}: {{plugin: {PLUGIN}, config: {{program: {folder / (program or name)}{', ' + words if words else ''}}}, format: {format},"
            f" decode: {decode}, into: \"datastore:rows\", paused: {str(paused).lower()}}}\n")


def rows_of(host, site):
    return [r for r in host.rows(WS, "datastore:rows") if r["site"] == site]


def running(*words):
    """Pids of processes with these words one after the other on their command line."""
    found, wanted = [], b"\0".join(str(w).encode() for w in words)
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as line:
                if entry.isdigit() and b"\0" + wanted + b"\0" in b"\0" + line.read():
                    found.append(int(entry))
        except OSError:
            pass
    return found


def begin(folder, *connectors, secret=None):
    allowed = ",".join(str(folder / n) for n in PROGRAMS if n != "forbidden")
    user = ["--plugins-user", "nobody"] if os.geteuid() == 0 else []
    host = harness.Host(settings=["--exec-allow", allowed, *user]).start()
    template = host.folder / "t.yaml"
    template.write_text(TEMPLATE + "".join(connectors))
    host.apply(template)
    host.workspace(WS, "programs")
    if secret:
        host.cli("secret", "set", "token", "-w", WS, "--file", "-", stdin=secret)
    return host


def formats():
    """Line protocol, NDJSON and CSV; arguments without a shell, variables that are named and no others, secrets in none of them."""
    folder = programs(harness.folder())
    host = begin(folder, connector(folder, "daemon"),
                 connector(folder, "once", format="ndjson", every_s=1, arguments='["; touch /tmp/never $(id) *", "b"]', environment="{WORD: spoken}"),
                 connector(folder, "table", format="csv", every_s=60, records="csv", decode='{separator: ";"}'),
                 connector(folder, "environment", format="ndjson", every_s=60, environment="{A: b}"),
                 connector(folder, "secretive", format="ndjson", every_s=60, secrets="{TOKEN: token}"),
                 connector(folder, "indiscreet", secrets="{TOKEN: token}"), connector(folder, "reader", format="ndjson", every_s=60),
                 secret="t0ken-of-eighteen-")
    def numbers():
        return sorted({r["n"] for r in rows_of(host, "daemon")})  # the secret opens sources anew: a run may begin twice
    wait_for("rows of a program that runs for ever", lambda: len(numbers()) >= 3)
    equal(numbers()[:3], [0, 1, 2], "its rows, none left out")
    once = wait_for("a program that ends is run again", lambda: (lambda r: r if len(r) >= 2 else None)(rows_of(host, "; touch /tmp/never $(id) *")))
    equal((once[0]["word"], once[0]["n"]), ("spoken", 2), "arguments and variables as they are")
    equal(wait_for("CSV", lambda: rows_of(host, "table"))[0]["word"], "two\nlines", "a quoted field")
    seen = wait_for("variables", lambda: rows_of(host, "environment"))[0]["word"].split()
    equal(sorted(set(seen) - {"_", "PWD", "SHLVL"}), ["A", "LANG", "PATH"], "all variables")
    equal(wait_for("a secret", lambda: rows_of(host, "secretive"))[0]["n"], 18, "the secret's length")
    wait_state(host, "indiscreet", "down", "exit code 1; it said: the token is ******************, you see")
    check("t0ken-of-eighteen-" not in host.log(), "no secret in the log")
    wait_for("a program that reads its input", lambda: rows_of(host, "reader"))
    for name in ("daemon", "once", "table"):
        wait_state(host, name, "ok")


def ends():
    """However it ends: the state says so, it comes again, and nothing of it is left when its source, its cell or the host ends."""
    folder = programs(harness.folder())
    host = begin(folder, connector(folder, "daemon"), connector(folder, "fails"), connector(folder, "killed"), connector(folder, "deaf"),
                 connector(folder, "garbage", every_s=60, max_record_bytes=1000), connector(folder, "forbidden"),
                 connector(folder, "once", format="ndjson", every_s=3600),
                 connector(folder, "absent", program="absent"), connector(folder, "floods"), connector(folder, "hangs", quiet_s=2))
    for name, expected, reason in (("fails", "down", "exit code 3; it said: it does not work: reason-42"),
                                   ("hangs", "down", "wrote nothing for 2 s and was ended"), ("killed", "down", "signal 9"), ("forbidden", "needs_you", "exec.allow"),
                                   ("absent", "needs_you", "exec.allow"), ("daemon", "ok", ""), ("deaf", "ok", ""), ("garbage", "ok", "")):
        wait_state(host, name, expected, reason)
    check("reason-42" in host.log(), "what it says on its standard error is in the log")
    wait_for("what is no row", lambda: len(host.sql("SELECT 1 FROM penstock.dead_letter_wid1")) == 2)
    def flood():
        return int(host.sql("SELECT count(*) FROM datastore.rows_wid1 WHERE site = 'floods'")[0][0])
    wait_for("all of a flood", lambda: flood() >= 100000, 60)
    equal((flood(), state(host, "floods")[0]), (100000, "ok"), "its rows, and its state")
    complaints = host.log().count("much to complain about")
    check(10 <= complaints < 1000, "a flood of complaints is cut short in the log", complaints)
    for name, code, reason in (("once", 0, ""), ("fails", 7, "exit code 3"), ("forbidden", 7, "exec.allow")):
        said = host.cli("connector", "check", name, "-w", WS, code=code)
        check(reason in said.errors, f"{name} is tried", said)
    tries = [line for line in host.log().splitlines() if "reason-42" in line]
    check(len(tries) < 10, "it is tried again ever less often", tries)

    def alive(name):
        return running(folder / name)
    for pid in wait_for("it runs", lambda: alive("daemon")):
        os.kill(pid, signal.SIGKILL)
    wait_state(host, "daemon", "down", "signal 9")
    wait_state(host, "daemon", "ok")
    helpers = len(running("sleep", 98765))
    equal(helpers, 1, "helpers of the one that was killed are gone with it")
    cell = next(i["pid"] for p in host.api("GET", "/plugins").json["items"] if p["id"] == PLUGIN
                for i in host.api("GET", f"/plugins/{p['id']}").json["instances"] if i["name"] == "connector:daemon")
    before = alive("daemon")
    os.kill(cell, signal.SIGKILL)
    wait_for("its program went with the cell", lambda: not set(before) & set(alive("daemon")), 5)
    wait_for("and another came", lambda: alive("daemon"), 15)
    began = time.monotonic()
    host.cli("connector", "pause", "deaf", "-w", WS)
    host.cli("connector", "pause", "daemon", "-w", WS)
    wait_for("paused ones are ended, also who is deaf", lambda: not alive("deaf") and not alive("daemon"), 5)
    check(time.monotonic() - began < 5, "soon")
    equal(state(host, "deaf")[0], "paused", "the state")
    host.cli("connector", "resume", "daemon", "-w", WS)
    wait_for("it runs again", lambda: alive("daemon"))
    host.stop()
    wait_for("nothing is left", lambda: not running("sleep", 98765) and not any(alive(n) for n in PROGRAMS), 5)


if __name__ == "__main__":
    harness.main(formats, ends)
