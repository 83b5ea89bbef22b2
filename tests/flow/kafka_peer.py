"""What the tests of Kafka talk to and with: kafka_cluster (librdkafka's mock cluster, or a client of real brokers), and a relay in
front of one broker that adds what the mock cluster lacks: TLS, passwords, silence. The relay names itself wherever the broker names
itself, so that clients come back to it."""
import json
import select
import socket
import ssl
import struct
import subprocess
import threading

import harness
from harness import check

PROGRAM = harness.BUILD / "tests" / "flow" / "kafka_cluster"
HANDSHAKE, VERSIONS, AUTHENTICATE = 17, 18, 36


class Cluster:
    def __init__(self, *words):
        if not PROGRAM.exists():
            raise harness.Skipped("kafka_cluster was not built")
        self.process = subprocess.Popen([str(PROGRAM), *(str(w) for w in words or ("mock", 1))], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        harness.at_end(self.close)
        self.brokers = json.loads(self.process.stdout.readline())["brokers"].split(",")

    def do(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        check(line, f"kafka_cluster does {what}")
        return json.loads(line)

    def create(self, topic, partitions):
        self.do("create", topic=topic, partitions=partitions)

    def send(self, topic, messages):
        self.do("send", topic=topic, messages=list(messages))

    def committed(self, group, topic, partitions):
        return self.do("committed", group=group, topic=topic, partitions=partitions)["offsets"]

    def read(self, topic, partitions):
        return self.do("read", topic=topic, partitions=partitions)["messages"]

    def down(self, broker=-1):
        self.do("down", broker=broker)

    def up(self, broker=-1):
        self.do("up", broker=broker)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Relay:
    """In front of `broker`. With a password, SASL PLAIN is asked for first and only that word is taken."""

    def __init__(self, broker, certificate=None, password=None):
        host, port = broker.rsplit(":", 1)
        self.target, self.password, self.open = (host, int(port)), password, True
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.ended = self.listener.getsockname()[1], False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        harness.at_end(self.close)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self.ended = True
        self.listener.close()

    def _accept(self):
        while not self.ended:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            with client, socket.create_connection(self.target) as broker:
                if self.password is None or self._admit(client, broker):
                    self._relay(client, broker)
        except (OSError, EOFError, ssl.SSLError):
            client.close()

    @staticmethod
    def _take(side, n):
        data = b""
        while len(data) < n:
            more = side.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _frame(self, side):
        return self._take(side, struct.unpack(">i", self._take(side, 4))[0])

    def _admit(self, client, broker):
        """What a broker with passwords answers before anything else."""
        while True:
            ask = self._frame(client)
            key, version, number = struct.unpack(">hhi", ask[:8])
            head = struct.pack(">i", number)
            if key == VERSIONS:  # of version 0, with the two that the mock lacks
                keys = [(0, 0, 7), (1, 0, 11), (2, 0, 5), (3, 0, 2), (8, 0, 2), (9, 0, 1), (10, 0, 2), (11, 0, 5), (12, 0, 3),
                        (13, 0, 1), (14, 0, 3), (18, 0, 0), (HANDSHAKE, 0, 1), (22, 0, 4), (AUTHENTICATE, 0, 0)]
                error = 35 if version else 0
                body = head + struct.pack(">hi", error, len(keys)) + b"".join(struct.pack(">hhh", *k) for k in keys)
            elif key == HANDSHAKE:
                body = head + struct.pack(">hih", 0, 1, 5) + b"PLAIN"
            else:
                good = key == AUTHENTICATE and ask.endswith(b"\0" + self.password.encode())
                text = b"" if good else b"Authentication failed"
                body = head + struct.pack(">hh", 0 if good else 58, len(text)) + text + struct.pack(">i", 0)
            client.sendall(struct.pack(">i", len(body)) + body)
            if key not in (VERSIONS, HANDSHAKE):
                return good

    def _relay(self, client, broker):
        was, now = (b"127.0.0.1" + struct.pack(">i", p) for p in (self.target[1], self.port))
        threading.Thread(target=self._upwards, args=(client, broker), daemon=True).start()
        while True:
            answer = self._frame(broker).replace(was, now)
            while not self.open and not self.ended:
                select.select([], [], [], 0.05)
            client.sendall(struct.pack(">i", len(answer)) + answer)

    def _upwards(self, client, broker):
        try:
            while data := client.recv(65536):
                broker.sendall(data)
            broker.shutdown(socket.SHUT_WR)
        except OSError:
            pass
