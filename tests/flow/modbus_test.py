"""Modbus from a real device (libmodbus): every type and order of words, an exception by its name, a device that is silent
beside others that answer, and a device that goes away and comes back. What goes wrong with one of them is said, once, and costs
the others no more than it must."""
import json
import os
import select
import socket
import subprocess
import tty

import harness
import mqtt_peer
import odd_server
from harness import check, equal, wait_for
from mqtt_peer import wait_state

PROGRAM = harness.BUILD / "tests" / "flow" / "modbus_server"
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


def devices():
    device = Device().start()
    host = harness.Host().start()
    host.apply(harness.SOURCE / "tests" / "flow" / "modbus.yaml")
    host.workspace("w", "modbus", address=f"127.0.0.1:{device.port}")
    rows = wait_for("both devices have rows", lambda: enough(host), 20)
    for name in ("one", "two"):
        row = next(r for r in rows if r["device_id"] == name)
        equal({k: row[k] for k in VALUES}, VALUES, f"the row of {name}")
    wait_state(host, "devices", "degraded", "silent")
    letters = host.sql("SELECT DISTINCT detail FROM penstock.dead_letter_wid1 ORDER BY 1")
    equal([r[0] for r in letters], ["exception 2: illegal data address", "no answer"], "what was refused")
    device.stop()
    wait_state(host, "devices", "down", "127.0.0.1")
    before = len(host.rows("w", "datastore:readings"))
    device.start()
    wait_state(host, "devices", "degraded", "silent")
    wait_for("rows come again", lambda: len(host.rows("w", "datastore:readings")) > before, 20)


TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: odd, version: 1.0.0, title: Odd devices}
datastores:
  readings:
    schema:
      type: object
      required: [time, device_id]
      additionalProperties: false
      properties:
        time:      {type: string, format: date-time}
        device_id: {type: string}
        a: {type: [integer, "null"]}
        b: {type: [integer, "null"]}
    time: time
    entity: [device_id]
connectors:
"""
UNITS = {"short": 4, "busy": 5, "slow": 6, "partly": 7, "lost": 8}


class Gateway(odd_server.Odd):
    """A serial line with a device at its end, as a simple gateway offers it over TCP: bytes go through as they come."""

    def __init__(self):
        self.line, far = os.openpty()
        tty.setraw(self.line)
        tty.setraw(far)
        self.device = Device()
        self.device.port = os.ttyname(far)
        self.device.start()
        os.close(far)
        super().__init__()

    def talk(self, near):
        while select.select([near], [], [], 0)[0] == [] or near.recv(1, socket.MSG_PEEK):
            for source in select.select([near, self.line], [], [], 0.5)[0]:
                if source is near:
                    os.write(self.line, near.recv(4096))
                else:
                    near.sendall(os.read(self.line, 4096))


def connector(name, port, *units, **more):
    points = more.pop("points", [{"name": "a", "address": 0, "type": "u32"}])
    config = {"address": f"127.0.0.1:{port}", "every_ms": 200, "timeout_ms": 1000, "points": points, **more,
              "devices": [{"name": f"{name}-{u}", "unit": UNITS.get(u, 1)} for u in units]}
    entry = {"plugin": "org.penstock.connector.modbus", "config": config, "into": "datastore:readings"}
    return f"  {name}: {json.dumps(entry)}\n"


def faults():
    """Each fault beside a device that is well. The state names it within seconds; refusals are dead letters when they begin."""
    device, noise, serial = Device().start(), odd_server.Noise(), Gateway()
    door = mqtt_peer.Door(device.port)
    host = harness.Host().start()
    template = host.folder / "odd.yaml"
    two = [{"name": "a", "address": 0, "every_ms": 100}, {"name": "b", "address": 60, "every_ms": 200}]
    template.write_text(TEMPLATE + connector("well", door.port, "one", "slow", timeout_ms=500) + connector("short", device.port, "one", "short") +
                        connector("busy", device.port, "busy", "one") + connector("lost", device.port, "lost") +
                        connector("noise", noise.port, "one") + connector("away", mqtt_peer.free_port(), "one") +
                        connector("partly", device.port, "one", "partly", points=two) +
                        connector("serial", serial.port, "one", points=two, framing="rtu_over_tcp", timeout_ms=300))
    host.apply(template)
    host.workspace(mqtt_peer.WS, "odd")
    for name, expected, reason in (("well", "ok", ""), ("short", "degraded", "another number of registers"),
                                   ("busy", "degraded", "server device busy"), ("lost", "down", "no device answers"),
                                   ("noise", "down", "does not keep to Modbus"), ("away", "down", "Connection refused"),
                                   ("partly", "degraded", "partly-partly"), ("serial", "degraded", "serial-one")):
        wait_state(host, name, expected, reason)
    door.open = False
    wait_state(host, "well", "down", "devices")
    door.open = True
    wait_state(host, "well", "ok")
    wait_for("enough readings of them", lambda: span(host, "partly-one") > 6, 20)
    one, other = times(host, "partly-one"), times(host, "partly-partly")
    possible = (one[-1] - one[0]) * 10  # a reading each 100 ms
    check(len(one) > possible * 0.4, "a group that is not answered leaves the other device alone", len(one), possible)
    check(len(other) > possible * 0.4, "and the other groups of its own", len(other), possible)
    late = host.sql("SELECT DISTINCT a, b FROM datastore.readings_wid1 WHERE device_id = 'serial-one'")
    equal([[int(v) for v in r if v is not None] for r in late], [[65526]], "values over the serial line: what comes late is nobody else's")
    letters = [r[0] for r in host.sql("SELECT detail FROM penstock.dead_letter_wid1")]
    equal(sorted(set(letters)), ["exception 6: server device busy", "no answer",
                                 "the answer has another number of registers than were asked for"], "what was refused")
    check(len(letters) <= 5, "a refusal is told when it begins, not at each reading", letters)
    check(noise.calls < 12, "who talks nonsense is not called again and again", noise.calls)


def times(host, device):
    rows = host.sql(f"SELECT extract(epoch FROM time) FROM datastore.readings_wid1 WHERE device_id = '{device}' ORDER BY time")
    return [float(r[0]) for r in rows]


def span(host, device):
    rows = times(host, device)
    return rows[-1] - rows[0] if rows else 0


def enough(host):
    rows = host.rows("w", "datastore:readings")
    return rows if {r["device_id"] for r in rows} == {"one", "two"} else None


harness.main(devices, faults)
