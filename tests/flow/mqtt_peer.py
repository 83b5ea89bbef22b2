"""What the tests of MQTT talk to and with: Debian's mosquitto on a free port of the loopback, and a publisher of our own
over a plain socket, which waits for the broker's acknowledgement of each message of QoS 1 and 2."""
import os
import socket
import struct
import subprocess

from far_side import STATE_S, WS, Daemon, Door, free_port, state, wait_state  # noqa: F401, its tests ask here
from harness import check

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7


class Broker(Daemon):
    """mosquitto with a store on disk, so that its sessions and messages outlive it."""

    def __init__(self, *settings, listener=(), anonymous=True):
        super().__init__("mosquitto", "mqtt")
        self.set(f"listener {self.port} 127.0.0.1", *listener, f"allow_anonymous {str(anonymous).lower()}",
                 "persistence true", f"persistence_location {self.folder}/", "autosave_interval 1", "max_queued_messages 0",
                 "log_type all", "set_tcp_nodelay true", *settings, *(["user root"] if os.geteuid() == 0 else []))


def with_password(folder):
    """A password file of mosquitto: pump, right."""
    passwords = folder / "passwords"
    passwords.write_text("pump:right\n")
    passwords.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, stderr=subprocess.DEVNULL)
    return passwords


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
