"""Modbus from a real device (libmodbus): every type and order of words, an exception by its name, a device that is silent
beside others that answer, and a device that goes away and comes back."""
import subprocess

import harness
from harness import check, equal, wait_for

PROGRAM = harness.BUILD / "tests" / "flow" / "modbus_server"
STATE_S = 5
VALUES = {"s": -10, "u": 100000, "low": 100000, "deg": 20.5, "f": 12.5, "flow": -0.25, "name": "PUMP-7", "big": -2,
          "bit": True, "coil": True, "far": None}


class Device:
    def __init__(self):
        if not PROGRAM.exists():
            raise harness.Skipped("libmodbus is not installed")
        self.port, self.process = 0, None
        harness._stack.callback(self.stop)

    def start(self):
        self.process = subprocess.Popen([PROGRAM, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None


def wait_state(host, expected, reason=""):
    def there():
        s = host.api("GET", "/workspaces/w/connectors/devices").json
        state = "ok" if s["state"] in ("live", "backfilling") else s["state"]
        return state == expected and reason in (s.get("error") or "")
    wait_for(f"the connector is {expected} ({reason})", there, STATE_S)


def devices():
    device = Device().start()
    host = harness.Host().start()
    host.apply(harness.SOURCE / "tests" / "flow" / "modbus.yaml")
    host.workspace("w", "modbus", address=f"127.0.0.1:{device.port}")
    rows = wait_for("both devices have rows", lambda: enough(host), 20)
    for name in ("one", "two"):
        row = next(r for r in rows if r["device_id"] == name)
        equal({k: row[k] for k in VALUES}, VALUES, f"the row of {name}")
    wait_state(host, "degraded", "silent")
    letters = host.sql("SELECT DISTINCT detail FROM penstock.dead_letter_wid1 ORDER BY 1")
    equal([r[0] for r in letters], ["exception 2: illegal data address", "no answer"], "what was refused")
    device.stop()
    wait_state(host, "down", "127.0.0.1")
    before = len(host.rows("w", "datastore:readings"))
    device.start()
    wait_state(host, "degraded", "silent")
    wait_for("rows come again", lambda: len(host.rows("w", "datastore:readings")) > before, 20)


def enough(host):
    rows = host.rows("w", "datastore:readings")
    return rows if {r["device_id"] for r in rows} == {"one", "two"} else None


harness.main(devices)
