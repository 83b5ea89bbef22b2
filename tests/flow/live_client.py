"""A client of …/events: used by the tests of live views."""
import http.client
import json
import queue
import socket
import threading

import harness
from harness import check, equal

MINUTE = 60


class Watch:
    """A client of the events: a thread that reads and takes the stream apart."""

    def __init__(self, host, path, last=None, key=None, reads=True):
        self.connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=MINUTE)
        headers = {"Authorization": f"Bearer {key or host.key}", "Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = str(last)
        self.connection.request("GET", "/api/v1" + path, headers=headers)
        self.response = self.connection.getresponse()
        self.status, self.id, self.events = self.response.status, last, queue.Queue()
        if self.status == 200:
            equal(self.response.readline(), b"retry: 3000\n", "the stream begins")
            if reads:
                threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        event = {}
        try:
            for line in iter(self.response.readline, b""):
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "" and value == "":
                    if event:
                        self.events.put(event)
                    event = {}
                elif name:
                    event[name] = value
        except (OSError, ValueError, AttributeError, http.client.HTTPException):  # closed while it reads
            pass
        self.events.put(None)

    def rows(self, n):
        """The next n rows."""
        found = []
        while len(found) < n:
            try:
                event = self.events.get(timeout=10)
            except queue.Empty:
                raise harness.Failed(f"no more rows come; {n} were waited for, the last was {found[-1:]}") from None
            check(event is not None, "the stream goes on", found)
            self.id = event.get("id", self.id)  # of what was taken
            if event.get("event") == "row":
                found.append(json.loads(event["data"]))
        return found

    def last_word(self):
        """The reason that the stream gives at its end."""
        reason = None
        while (event := self.events.get(timeout=MINUTE)) is not None:
            if event.get("event") == "end":
                reason = json.loads(event["data"])["reason"]
        return reason

    def close(self):
        if self.connection.sock:
            self.connection.sock.shutdown(socket.SHUT_RDWR)  # ends the thread's read first
        self.connection.close()
