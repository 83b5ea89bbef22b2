"""What a newcomer types first, with the programs as they are built: `up --demo` gets ready, the planted fault fires and its mail
lies in the sink, the commands that it suggests answer, the host's log has no error, and `down` leaves nothing running."""
import email
import os
import socket
import subprocess

import harness
from harness import CLI, check, equal, wait_for


class Stack:
    """`penstock` on a state folder of its own; goes down with the test."""

    def __init__(self):
        self.state = harness.folder() / "state"
        self.environment = {"PENSTOCK_CONFIG": str(self.state / "cli.yaml"), "NO_COLOR": "1"}
        if os.geteuid() == 0 and not harness.has_user("penstock"):
            self.environment["PENSTOCK_DATABASE_USER"] = "postgres"
        harness.at_end(self.run, "down", "--state", self.state, code=None)

    def run(self, *words, code=0):
        out = subprocess.run([CLI, *[str(w) for w in words]], capture_output=True, text=True, timeout=120,
                             env=harness.clean_environment(self.environment))
        check(code is None or out.returncode == code, f"penstock {words[0]}: exit {out.returncode}", out.stderr, out.stdout)
        return out

    def log(self):
        return (self.state / "penstockd.log").read_text()

    def processes(self):
        """Whatever names the state folder: the host, its nursery and cells, PostgreSQL, the mail sink."""
        mine = str(self.state).encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    words = line.read()
            except OSError:  # it has just ended
                continue
            if mine in words:
                found.append((int(pid), words.replace(b"\0", b" ").decode(errors="replace")))
        return found


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def mails(stack):
    return [email.message_from_bytes(f.read_bytes()) for f in (stack.state / "mail" / "new").iterdir()]


def what_it_suggests(stack):
    status = stack.run("status").stdout
    for store in ("datastore:sensor_data", "featurestore:pump_metrics_10min", "inferencestore:pump_anomaly"):
        check(store in status, f"status shows {store}", status)
    check(len(stack.run("query", "pressure").stdout.splitlines()) > 100, "a day of the metric by ten minutes")
    check("champion" in stack.run("model", "show", "pump_anomaly").stdout, "the model serves")


def the_demo():
    stack = Stack()
    up = stack.run("up", "--demo", "--state", stack.state, "--port", free_port())
    check("ready" in up.stderr, "up says that it is ready", up.stderr)
    wait_for("the planted fault fires", lambda: "firing" in stack.run("alert", "list").stdout, 60)
    told = wait_for("its mail lies in the sink", lambda: mails(stack), 30)
    check("pump-2" in told[0]["Subject"] + str(told[0].get_payload()), "the mail names the pump", told[0])
    what_it_suggests(stack)
    again = stack.run("up", "--demo", "--state", stack.state)
    check("already running" in again.stderr, "up once more changes nothing", again.stderr)
    equal([line for line in stack.log().splitlines() if "level=error" in line], [], "errors in the host's log")
    check(len(stack.processes()) > 3, "its processes are seen", stack.processes())
    stack.run("down", "--state", stack.state)
    equal(stack.processes(), [], "processes after down")


harness.main(the_demo)
