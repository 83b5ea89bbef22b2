"""Far sides that are odd, on a free port of the loopback: what no real server can be told to do."""
import socket
import threading

import harness


class Odd:
    """Takes connections, each in a thread of its own; `calls` counts them. A subclass says what becomes of one."""

    def __init__(self):
        self.calls, self.sockets = 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        harness._stack.callback(self.close)

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            self.sockets.append(near)
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        try:
            self.talk(near)
        except OSError:
            pass

    def talk(self, near):
        raise NotImplementedError

    def close(self):
        self.listener.close()
        for s in self.sockets:
            s.close()


class Says(Odd):
    """Answers whatever it is told with the same bytes."""

    def __init__(self, said):
        self.said = said
        super().__init__()

    def talk(self, near):
        while near.recv(4096):
            near.sendall(self.said)


class Noise(Says):
    """Bytes of no protocol."""

    def __init__(self):
        super().__init__(b"\xff" * 300)


class Mute(Odd):
    """Takes what it is told and says nothing."""

    def talk(self, near):
        while near.recv(4096):
            pass


class Relay(Odd):
    """Passes on what goes to and fro between whoever calls and `port`. `most`: a function that says for each connection after
    how many bytes of answers it is cut off, in the middle of whatever that is; None: never. `hold(n)`: after n bytes of answers
    from now on nothing comes any more, until go_on()."""

    def __init__(self, port, most=None):
        self.far_port, self.most, self.left, self.gate = port, most, None, threading.Event()
        super().__init__()

    def talk(self, near):
        far = socket.create_connection(("127.0.0.1", self.far_port))
        self.sockets.append(far)
        threading.Thread(target=self._run, args=(self._ask, near, far), daemon=True).start()
        self._run(self._answer, near, far)

    def _run(self, pass_on, near, far):
        try:
            pass_on(near, far)
        except OSError:
            pass
        self.cut(near)
        self.cut(far)

    def _ask(self, near, far):
        while data := near.recv(65536):
            far.sendall(data)

    def _answer(self, near, far):
        left = self.most() if self.most else 1 << 62
        while left > 0 and (data := far.recv(min(left, 16384))):
            left -= len(data)
            if self.left is not None:
                self.left -= len(data)
                if self.held:
                    self.gate.wait()
            near.sendall(data)

    def hold(self, left):
        self.gate.clear()
        self.left = left

    @property
    def held(self):
        return self.left is not None and self.left <= 0

    def go_on(self):
        self.left = None
        self.gate.set()

    def cut(self, s):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def cut_all(self):
        for s in list(self.sockets):
            self.cut(s)
