"""What the tests of NATS talk to and with: Debian's nats-server with JetStream on a free port of the loopback, and a client of our
own over a plain socket."""
import json
import os
import socket

from far_side import Daemon
from harness import check


class Server(Daemon):
    """nats-server with a store on disk, so that its streams outlive it; or without streams."""

    def __init__(self, *settings, streams=True):
        super().__init__("nats-server", "nats")
        store = [f'jetstream {{store_dir: "{self.folder}/store"}}'] if streams else []
        self.set(f"listen: 127.0.0.1:{self.port}", *store, *settings)


class Peer:
    """A client that publishes, and asks JetStream by its API."""

    def __init__(self, port, user=None, password=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.socket.makefile("rb")
        check(self.file.readline().startswith(b"INFO"), "a server of NATS")
        who = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "test", "version": "1"}
        who.update({"user": user, "pass": password} if user else {})
        self._say(f"CONNECT {json.dumps(who)}\r\n".encode())
        self.inbox, self.asked = f"_INBOX.test{os.getpid()}x{self.socket.getsockname()[1]}", 0
        self._say(f"SUB {self.inbox}.* 1\r\n".encode())
        self.flush()

    def _say(self, data):
        self.socket.sendall(data)

    def flush(self):
        self._say(b"PING\r\n")
        while (line := self.file.readline()) != b"PONG\r\n":
            check(line and not line.startswith(b"-ERR"), "the server takes the test's own client", line)

    def publish(self, messages):
        """(subject, payload or object[, headers]) each; returns when the server has them."""
        out = []
        for subject, payload, *more in messages:
            payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
            head = b"NATS/1.0\r\n" + b"".join(f"{k}: {v}\r\n".encode() for k, v in more[0].items()) + b"\r\n" if more else b""
            verb = f"HPUB {subject} {len(head)} {len(head) + len(payload)}" if more else f"PUB {subject} {len(payload)}"
            out.append(verb.encode() + b"\r\n" + head + payload + b"\r\n")
        self._say(b"".join(out))
        self.flush()

    def ask(self, subject, body=None):
        """A request of JetStream's API; its answer."""
        self.asked += 1
        payload = json.dumps(body).encode() if body is not None else b""
        self._say(f"PUB $JS.API.{subject} {self.inbox}.{self.asked} {len(payload)}\r\n".encode() + payload + b"\r\n")
        while True:
            line = self.file.readline()
            check(line, "the server answers")
            words = line.decode().split()
            if words[0] in ("MSG", "HMSG"):
                data = self.file.read(int(words[-1]) + 2)
                if words[1].endswith(f".{self.asked}"):
                    return json.loads(data) if words[0] == "MSG" else {"error": data.decode()}

    def stream(self, name, *subjects):
        said = self.ask(f"STREAM.CREATE.{name}", {"name": name, "subjects": list(subjects), "storage": "file", "num_replicas": 1,
                                                  "retention": "limits", "discard": "old", "max_consumers": -1, "max_msgs": -1,
                                                  "max_bytes": -1, "max_age": 0})
        check("error" not in said, f"the stream {name} is made", said)

    def messages(self, name):
        """All messages of a stream: [(subject, payload, headers as text)]."""
        import base64
        state, out = self.ask(f"STREAM.INFO.{name}")["state"], []
        for number in range(state["first_seq"], state["last_seq"] + 1):
            got = self.ask(f"STREAM.MSG.GET.{name}", {"seq": number})
            if "message" in got:
                m = got["message"]
                out.append((m["subject"], base64.b64decode(m.get("data", "")), base64.b64decode(m.get("hdrs", "")).decode()))
        return out

    def close(self):
        self.socket.close()
