"""Stands between a host and its private PostgreSQL on the server's own Unix socket, and kills a writer's backend between its
COMMIT and the answer: what the transaction came to is then known to the server alone. Three fates, all alike for the host:

    unread     the backend gets the COMMIT and is killed before it reads it
    race       it is killed while it works on it
    unheard    it has committed, its answer goes no further

Before the COMMIT the proxy puts a row of its own into the transaction (a number alone would not do: after a crash the
server gives it out again), so that the outcome can be looked up afterwards in the table `probe.commits`.
"""
import contextlib
import os
import random
import signal
import socket
import struct
import threading

UNREAD, RACE, UNHEARD = "unread", "race", "unheard"
TABLE = """CREATE SCHEMA probe; GRANT USAGE ON SCHEMA probe TO PUBLIC; CREATE TABLE probe.commits (number integer);
           GRANT INSERT ON probe.commits TO PUBLIC"""  # to be made before
HIDDEN = ".real"


class Frames:
    """Cuts a stream into messages of PostgreSQL's protocol: (type, whole message); the first of a client has no type."""

    def __init__(self, typed):
        self.typed, self.bytes = typed, b""

    def feed(self, data):
        self.bytes += data
        while True:
            head = 1 if self.typed else 0
            if len(self.bytes) < head + 4:
                return
            size = head + struct.unpack_from("!I", self.bytes, head)[0]
            if len(self.bytes) < size:
                return
            message, self.bytes = self.bytes[:size], self.bytes[size:]
            kind = message[:1] if self.typed else b""
            self.typed = True
            yield kind, message


class Session:
    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(proxy.path + HIDDEN)
        self.backend, self.writes, self.held, self.heard = 0, False, threading.Event(), []
        self.settled = threading.Event()  # what was asked, or committed, has its answer
        for pump in (self.to_server, self.to_client):
            threading.Thread(target=self.run, args=(pump,), daemon=True).start()

    def run(self, pump):
        with contextlib.suppress(OSError):
            pump()
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def to_server(self):
        frames = Frames(typed=False)
        while data := self.client.recv(1 << 16):
            for kind, message in frames.feed(data):
                self.writes = self.writes or b"penstock.position" in message
                if self.writes and kind == b"Q" and message[5:] == b"COMMIT\0" and (fate := self.proxy.take()):
                    self.commit_and_die(message, fate)
                    return
                self.server.sendall(message)

    def to_client(self):
        frames = Frames(typed=True)
        while data := self.server.recv(1 << 16):
            if not self.held.is_set() and self.backend:
                self.client.sendall(data)
                continue
            for kind, message in frames.feed(data):
                if kind == b"K":
                    self.backend = struct.unpack_from("!I", message, 5)[0]
                if not self.held.is_set():
                    self.client.sendall(message)
                    continue
                self.heard.append((kind, message))
                if kind == b"Z":
                    self.settled.set()

    def leave_mark(self, number):
        """In the pause before the COMMIT: nothing else is on the way then."""
        sql = b"INSERT INTO probe.commits VALUES (%d)\0" % number
        self.held.set()
        self.server.sendall(b"Q" + struct.pack("!I", 4 + len(sql)) + sql)
        if not self.settled.wait(30) or any(kind == b"E" for kind, _ in self.heard):
            raise AssertionError(f"the mark was not taken: {self.heard}")
        self.settled.clear()

    def commit_and_die(self, message, fate):
        self.leave_mark(len(self.proxy.met))
        if fate == UNREAD:
            os.kill(self.backend, signal.SIGSTOP)
        self.server.sendall(message)
        if fate == UNHEARD:
            self.settled.wait(30)
        elif fate == RACE:
            self.settled.wait(self.proxy.dice.uniform(0, 0.002))  # the moment of the kill, not a synchronisation
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.backend, signal.SIGKILL)
        self.proxy.keep(fate)


class CommitProxy:
    """`arm` a fate: the next COMMIT of a writer meets it. `met` are the fates of those that did; their places in it are the
    numbers in probe.commits."""

    def __init__(self, sockets, seed):
        self.path, self.dice = os.path.join(sockets, ".s.PGSQL.5432"), random.Random(seed)
        self.lock, self.armed, self.met = threading.Lock(), None, []
        os.rename(self.path, self.path + HIDDEN)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    Session(self, client)
                except OSError:
                    client.close()

    def arm(self, fate):
        with self.lock:
            self.armed = fate

    def take(self):
        with self.lock:
            fate, self.armed = self.armed, None
            return fate

    def keep(self, fate):
        with self.lock:
            self.met.append(fate)

    def close(self):
        """The server has its socket back; sessions that are open end with their hosts'."""
        self.listener.close()
        with contextlib.suppress(OSError):
            os.rename(self.path + HIDDEN, self.path)
