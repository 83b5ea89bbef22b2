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
