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
import time

import harness
from harness import check

PROGRAM = harness.BUILD / "tests" / "flow" / "kafka_cluster"
JOIN, LEAVE, HANDSHAKE, VERSIONS, AUTHENTICATE = 11, 13, 17, 18, 36
OUR_NUMBER = 0x7ffffff0  # of a request that the relay makes itself
JOIN_ANSWER_S = 10  # the mock cluster answers within a session


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


def hang_up(side):
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Relay:
    """In front of `broker`. With a password, SASL PLAIN is asked for first and only that word is taken. `clients`: who signs their
    certificates. `among`: the relays of the
    cluster's other brokers. `slow_s`: each answer waits so long. `deaf_to`: from the first such request on nothing is passed on."""

    def __init__(self, broker, certificate=None, password=None, among=(), slow_s=0, deaf_to=None, clients=None):
        host, port = broker.rsplit(":", 1)
        self.target, self.password, self.open, self.slow_s, self.deaf_to = (host, int(port)), password, True, slow_s, deaf_to
        self.silent_since = None
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(f"{certificate}.pem", f"{certificate}.key")
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(clients)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.ended = self.listener.getsockname()[1], False
        self.all = among.all if among else []
        self.members = among.members if among else {}  # by group and static name: the member that the broker knows
        self.joining = among.joining if among else {}  # likewise: set when the broker has answered
        self.all.append(self)
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
        joins = {}  # of this connection: number of the request: its version, group and static name
        threading.Thread(target=self._upwards, args=(client, broker, joins), daemon=True).start()
        try:
            self._downwards(client, broker, joins)
        finally:
            for _, group, name in joins.values():  # nobody answers them any more
                self.joining[group, name].set()
            hang_up(client)  # closing alone tells nobody while the other thread reads of it

    def _downwards(self, client, broker, joins):
        while True:
            answer = self._frame(broker)
            number = struct.unpack(">i", answer[:4])[0]
            if number in joins:
                self._note_member(answer, *joins.pop(number))
            for other in self.all:  # all of them are themselves wherever the brokers are named
                was, now = (b"127.0.0.1" + struct.pack(">i", p) for p in (other.target[1], other.port))
                answer = answer.replace(was, now)
            if self.slow_s:
                select.select([], [], [], self.slow_s)
            self._pass()
            if number != OUR_NUMBER:
                client.sendall(struct.pack(">i", len(answer)) + answer)

    def _pass(self):
        """Silence lasts until `open`, and what was on its way then is gone with its connection."""
        if not self.open:
            while not self.open and not self.ended:
                select.select([], [], [], 0.05)
            raise EOFError

    def _upwards(self, client, broker, joins):
        try:
            while True:
                ask = self._frame(client)
                if struct.unpack(">h", ask[:2])[0] == self.deaf_to:
                    self.open, self.silent_since = False, time.monotonic()
                self._pass()
                if ask[:2] == struct.pack(">h", JOIN):
                    self._replace_member(ask, broker, joins)
                broker.sendall(struct.pack(">i", len(ask)) + ask)
        except (OSError, EOFError):
            pass
        for side in (client, *([] if joins else [broker])):  # whom a broker lets in is to be known
            hang_up(side)

    def _replace_member(self, ask, broker, joins):
        """A static member that comes back takes its old place at once, as it does at brokers; the mock cluster knows no such thing, and
        would wait for the one that is gone."""
        _, version, number = struct.unpack(">hhi", ask[:8])
        words = Words(ask[8:])
        words.text()  # the client
        group = words.text()
        words.skip(8)
        member, name = words.text(), words.text() if version >= 5 else None
        if not member and (group, name) in self.joining:
            self.joining[group, name].wait(JOIN_ANSWER_S)
        self.joining[group, name] = threading.Event()
        joins[number] = version, group, name
        old = self.members.pop((group, name), None) if not member else None
        if old:
            leave = struct.pack(">hhih", LEAVE, 0, OUR_NUMBER, -1) + b"".join(struct.pack(">h", len(t)) + t for t in (group, old))
            broker.sendall(struct.pack(">i", len(leave)) + leave)

    def _note_member(self, answer, version, group, name):
        words = Words(answer[4:])
        words.skip(4 if version >= 2 else 0)
        if words.number() == 0:
            words.skip(4)
            words.text()  # the protocol
            words.text()  # the leader
            if name is not None:
                self.members[group, name] = words.text()
        self.joining[group, name].set()


class Words:
    """The fields of a frame, one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def skip(self, n):
        self.at += n

    def number(self):
        self.at += 2
        return struct.unpack(">h", self.data[self.at - 2:self.at])[0]

    def text(self):
        n = self.number()
        self.at += max(n, 0)
        return self.data[self.at - n:self.at] if n >= 0 else None


def relays(cluster, **more):
    """One in front of each broker of the cluster."""
    first = None
    for broker in cluster.brokers:
        one = Relay(broker, among=first or (), **more)
        first = first or one
    return first.all
