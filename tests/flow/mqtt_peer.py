"""What the tests of MQTT talk to and with: Debian's mosquitto on a free port of the loopback, and a publisher of our own
over a plain socket, which waits for the broker's acknowledgement of each message of QoS 1 and 2."""
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import harness
from harness import check, wait_for

STATE_S = 5  # within which a connector says how it is
WS = "w"
CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def state(host, name):
    s = host.api("GET", f"/workspaces/{WS}/connectors/{name}").json
    return ("ok" if s["state"] in ("live", "backfilling") else s["state"]), s.get("error") or ""


def wait_state(host, name, expected, reason="", timeout=STATE_S):
    def there():
        now, error = state(host, name)
        return now == expected and reason in error and (now, error)
    try:
        wait_for(f"{name} is {expected} ({reason})", there, timeout)
    except harness.Failed as why:
        raise harness.Failed(f"{why}: it is {state(host, name)}") from None


class Broker:
    """mosquitto with a store on disk, so that its sessions and messages outlive it."""

    def __init__(self, *settings, listener=(), anonymous=True):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        if not pathlib.Path(program).exists():
            raise harness.Skipped("mosquitto is not installed")
        self.program, self.folder, self.port = program, harness.folder("penstock-mqtt-"), free_port()
        self.process = None
        lines = [f"listener {self.port} 127.0.0.1", *listener, f"allow_anonymous {str(anonymous).lower()}",
                 "persistence true", f"persistence_location {self.folder}/", "autosave_interval 1", "max_queued_messages 0",
                 "log_type all", "set_tcp_nodelay true", *settings]
        import os
        if os.geteuid() == 0:
            lines.append("user root")
        self.settings = self.folder / "mosquitto.conf"
        self.settings.write_text("\n".join(lines) + "\n")
        harness._stack.callback(self.close)

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.program, "-c", str(self.settings)], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_for("the broker listens", self._listens, 10)
        return self

    def _listens(self):
        check(self.process.poll() is None, "mosquitto runs", self.log())
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def stop(self):
        """SIGTERM: it writes its store."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def pause(self, paused=True):
        """A machine that is still there and says nothing: its half of the connection stays open."""
        self.process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"


def _text(text):
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _packet(first, body):
    n, length = len(body), b""
    while True:
        length += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return bytes([first]) + length + body


class Peer:
    """A 3.1.1 client: publishes, and keeps what it is sent when it subscribes."""

    def __init__(self, port, client="peer", user=None, password=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.buffer, self.last, self.received = b"", 0, []
        flags = 2 | (128 if user else 0) | (64 if password else 0)
        self.socket.sendall(_packet(0x10, _text("MQTT") + bytes([4, flags, 0, 0]) + _text(client) +
                                    (_text(user) if user else b"") + (_text(password) if password else b"")))
        kind, body = self._read()
        check(kind >> 4 == CONNACK and body[1] == 0, "the broker takes the test's own client", kind, body)

    def _read(self):
        while True:
            if len(self.buffer) >= 2:
                n, shift, at = 0, 0, 1
                while at < len(self.buffer):
                    byte = self.buffer[at]
                    n |= (byte & 127) << shift
                    at, shift = at + 1, shift + 7
                    if byte < 128:
                        if len(self.buffer) >= at + n:
                            kind, body = self.buffer[0], self.buffer[at:at + n]
                            self.buffer = self.buffer[at + n:]
                            return kind, body
                        break
            data = self.socket.recv(65536)
            check(data, "the broker closed the connection of the test's own client")
            self.buffer += data

    def publish(self, messages, qos=1, retain=False, window=200):
        """(topic, payload) pairs; returns when the broker has acknowledged them all."""
        waiting = set()
        for topic, payload in messages:
            payload = payload if isinstance(payload, bytes) else payload.encode()
            self.last = self.last % 65535 + 1
            body = _text(topic) + (struct.pack(">H", self.last) if qos else b"") + payload
            self.socket.sendall(_packet(0x30 | qos << 1 | retain, body))
            if qos:
                waiting.add(self.last)
            while len(waiting) >= window:
                self._step(waiting)
        while waiting:
            self._step(waiting)

    def subscribe(self, topic):
        self.socket.sendall(_packet(0x82, b"\0\1" + _text(topic) + b"\0"))
        self._read()

    def listen(self, seconds=10):
        """The next message that it is sent: (topic, payload)."""
        self.socket.settimeout(seconds)
        kind, body = self._read()
        n = struct.unpack(">H", body[:2])[0]
        return body[2:2 + n].decode(), body[2 + n:]

    def _step(self, waiting):
        kind, body = self._read()
        number = struct.unpack(">H", body[:2])[0]
        if kind >> 4 == PUBREC:
            self.socket.sendall(_packet(0x62, body[:2]))
        elif kind >> 4 in (PUBACK, PUBCOMP):
            waiting.discard(number)

    def close(self):
        self.socket.close()


class Door:
    """A TCP proxy that can be shut without either side noticing: a cable that was pulled. With `delay` it is a slow line."""

    def __init__(self, port, delay=0):
        self.to, self.open, self.delay, self.sockets = port, True, delay, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        harness._stack.callback(self.close)

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to), 10)
            except OSError:
                return
            self.sockets += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(a, b), daemon=True).start()

    def _copy(self, a, b):
        try:
            while data := a.recv(65536):
                time.sleep(self.delay)
                if self.open:
                    b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for s in self.sockets:
            s.close()

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"
