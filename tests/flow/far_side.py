"""What the tests of connectors with a server or broker on the other side share: one as a process of its own, a door in front of it,
and how its connector says it is."""
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import threading

import harness
from harness import check, wait_for

STATE_S = 5  # within which a connector says how it is
WS = "w"


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


class Daemon:
    """A program that listens on a free port of the loopback, with a folder that outlives it. `lines` are its settings; it is started
    with their file behind -c."""

    def __init__(self, program, scheme):
        path = shutil.which(program) or f"/usr/sbin/{program}"
        if not pathlib.Path(path).exists():
            raise harness.Skipped(f"{program} is not installed")
        self.program, self.scheme, self.port, self.process = path, scheme, free_port(), None
        self.folder = harness.folder(f"penstock-{scheme}-")
        self.settings = self.folder / f"{scheme}.conf"
        harness.at_end(self.close)

    def set(self, *lines):
        self.settings.write_text("\n".join(lines) + "\n")

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.program, "-c", str(self.settings)], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_for(f"{self.program} listens", self._listens, 10)
        return self

    def _listens(self):
        check(self.process.poll() is None, f"{self.program} runs", self.log())
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
        return f"{self.scheme}://127.0.0.1:{self.port}"


class Door:
    """A TCP proxy that can be shut without either side noticing: a cable that was pulled. With `delay` it is a slow line; `drop`
    names bytes that do not get through to the far side, with what is sent beside them."""

    def __init__(self, port, delay=0, scheme="mqtt"):
        self.to, self.open, self.delay, self.drop, self.scheme, self.sockets = port, True, delay, None, scheme, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        harness.at_end(self.close)

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to), 10)
            except OSError:
                return
            self.sockets += [near, far]
            threading.Thread(target=self._copy, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, False), daemon=True).start()

    def _copy(self, a, b, away):
        try:
            while data := a.recv(65536):
                select.select([], [], [], self.delay)
                if self.open and not (away and self.drop and self.drop in data):
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
        return f"{self.scheme}://127.0.0.1:{self.port}"


class Stranger:
    """Something else that listens there: it says `words` to whoever comes, and hangs up."""

    def __init__(self, words=b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        self.words, self.listener = words, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        harness.at_end(self.listener.close)

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                with near:
                    near.sendall(self.words)
                    near.shutdown(socket.SHUT_WR)
                    near.settimeout(1)
                    while near.recv(65536):
                        pass
            except TimeoutError:
                continue
            except OSError:
                if self.listener.fileno() < 0:
                    return
