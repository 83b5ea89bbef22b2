"""What every test of a whole host uses: a host on a state folder and a free port of its own, the command line, plain
HTTP, sinks for mail and webhooks, and waiting for a condition with a deadline.

A test is a program: `harness.main(function)` runs it with the time that ctest allows, and whatever happens (a failed
check, a time-out, SIGTERM) the hosts, their private PostgreSQL and every folder are gone afterwards. Where things are
comes from the environment: PENSTOCK_BUILD (build folder), PENSTOCK_TESTDATA (shared test data; absent = the
test says so and is skipped), PENSTOCK_TEST_SECONDS (how long the test may take).
"""
import base64
import contextlib
import email
import http.client
import http.server
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import uuid

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PENSTOCK_BUILD") or SOURCE / "build" / "asan")
HOST, CLI, CELL = BUILD / "host" / "penstockd", BUILD / "cli" / "penstock", BUILD / "cell" / "penstock-cell"
PLUGINS = BUILD / "plugins"
LOOPBACK = "127.0.0.0/8,::1/128"
START_S, STOP_S, POLL_S = 60, 10, 0.05
SKIPPED = 77

_stack = contextlib.ExitStack()  # what is left to clean up, newest first
_hosts = []  # of the test that runs


class Failed(AssertionError):
    pass


class Skipped(Exception):
    pass


def check(condition, text, *details):
    """An assertion that says what was expected and what was there."""
    if not condition:
        raise Failed(text + "".join(f"\n    {str(d)[:2000]}" for d in details))


def equal(got, expected, what):
    check(got == expected, f"{what}: not what was expected", f"expected {expected!r}", f"got      {got!r}")


def say(text):
    print(text, flush=True)


def wait_for(what, probe, timeout=30.0):
    """The first true answer of `probe`, which is asked until `timeout` seconds have passed."""
    end, last = time.monotonic() + timeout, None
    while True:
        last = probe()
        if last:
            return last
        if time.monotonic() > end:
            raise Failed(f"waited {timeout} s in vain: {what} (last answer {str(last)[:500]})")
        time.sleep(POLL_S)


def testdata(path):
    root = os.environ.get("PENSTOCK_TESTDATA") or str(SOURCE.parent / "shared" / "data")
    found = pathlib.Path(root) / path
    if not found.exists():
        raise Skipped(f"no test data {path}; PENSTOCK_TESTDATA names the folder that has them")
    return found


def folder(prefix="penstock-flow-"):
    """A folder that is gone after the test. Others may walk through: PostgreSQL runs as a user of its own."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    path.chmod(0o711)
    _stack.callback(_leave, path)
    return path


def at_end(function, *words, **more):
    """Calls it when the test is over, whatever came of it; what was asked for last comes first."""
    _stack.callback(function, *words, **more)


def has_user(name):
    try:
        pwd.getpwnam(name)
        return True
    except KeyError:
        return False


def clean_environment(extra=None):
    """Ours without Penstock's own variables, so nothing of the machine reaches the host under test but a guard that is to be
    taken out."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_") or k == "PENSTOCK_FAULT"}
    clean.update(extra or {})
    return clean


def _alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def family(pid):
    """A process and its children."""
    children = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as stat:
                if int(stat.read().rsplit(")", 1)[1].split()[1]) == pid:
                    children.append(int(entry))
    return [pid] + children


def using(path):
    """The processes whose command line names this folder."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as line:
                if os.fsencode(path) in line.read():
                    found.append(int(entry))
    return found


def _leave(path):
    """The folder goes away, and with it whatever still runs on it, which is a fault of the test."""
    shutil.rmtree(path, ignore_errors=True)
    try:
        wait_for("no process is left behind", lambda: not using(path), STOP_S)
    except Failed as failed:
        raise Failed(f"{failed}: {using(path)}") from None
    finally:
        signal_all(using(path), signal.SIGKILL)


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.text[:1500]}"


class Host:
    """One host. `state` may be a folder that another Host of the test made (then it belongs to that one)."""

    def __init__(self, state=None, plugins=None, settings=(), environment=None, files=()):
        """`files`: folders that every workspace's plugins may read."""
        self.folder = folder()
        self.state = pathlib.Path(state) if state else self.folder / "state"
        self.plugins = [pathlib.Path(p) for p in plugins] if plugins else [PLUGINS]
        self.settings, self.environment = list(settings), environment
        self.files = [str(f) for f in files]
        self.log_path = self.folder / "host.log"
        self.process = self.port = self.admin_port = self._sockets = None
        self._owns = state is None
        _hosts.append(self)
        _stack.callback(self.close)

    # ---- life ----

    def command(self, port=0):
        words = [HOST, "--state", self.state, "--listen", f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0",
                 "--plugins-folders", ",".join(str(p) for p in self.plugins), "--plugins-cell", CELL]
        if not any(str(s).startswith("--networks-allow") for s in self.settings):
            words += ["--networks-allow", LOOPBACK]  # where the sinks are
        if os.geteuid() == 0 and not has_user("penstock"):
            words += ["--database-user", "postgres"]
        if self.files:
            words += ["--files-allow", ",".join(self.files)]
        return [str(w) for w in words + self.settings]

    def launch(self, same_port=False):
        """Starts the process and waits until it listens; ready it may not be yet."""
        check(self.process is None or self.process.poll() is not None, "the host already runs")
        with open(self.log_path, "ab") as log:
            start = log.tell()
            self.process = subprocess.Popen(self.command(self.port if same_port and self.port else 0), stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env=clean_environment(self.environment))
        self.port, self.admin_port = wait_for("the host listens", lambda: self._ports(start), START_S)
        return self

    def start(self, same_port=False):
        """Starts the process, waits until it is ready, and gives the command line its key."""
        self.launch(same_port)
        self.wait_ready()
        self.login()
        return self

    def wait_ready(self, timeout=START_S):
        wait_for("the host is ready", self._is_ready, timeout)
        self._sockets = (self.postmaster() or (0, None))[1] or self._sockets

    def login(self):
        self.cli("login", "--url", self.url, "--file", self.state / "admin.key")

    def stop(self):
        """SIGTERM; returns the exit code and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_S + START_S)
        return code, time.monotonic() - began

    def kill(self):
        """kill -9: the host gets no chance. Its PostgreSQL stays, the next start adopts it."""
        self.process.kill()
        self.process.wait(START_S)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S + 5)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._owns:
            self._end_database()

    def _is_ready(self):
        if self.process.poll() is not None:
            raise Failed(f"the host ended with {self.process.returncode} instead of getting ready")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/readyz", timeout=5).status == 200
        return False

    def _ports(self, start):
        if self.process.poll() is not None:
            raise Failed(f"the host ended with {self.process.returncode}", self.log(start))
        found = dict(re.findall(r'for="?(the API|administration)"? .*port=(\d+)', self.log(start)))
        if "the API" in found and "administration" in found:
            return int(found["the API"]), int(found["administration"])
        return None

    def log(self, start=0):
        with open(self.log_path, "rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")

    # ---- its PostgreSQL ----

    def postmaster(self):
        """pid and socket folder of the private PostgreSQL, or None."""
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
            lines = (self.state / "postgres" / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[4]
        return None

    def end_database(self, how=signal.SIGINT):
        """SIGINT: rolled back and written out; SIGQUIT: dropped on the spot. Waits for its end."""
        running = self.postmaster()
        if running and _alive(running[0]):
            os.kill(running[0], how)
            wait_for("PostgreSQL has ended", lambda: not _alive(running[0]), 30)

    @contextlib.contextmanager
    def without_database(self):
        """Its private PostgreSQL has ended and cannot start again: the control file is not there."""
        file = self.state / "postgres" / "global" / "pg_control"
        hidden = file.with_name("pg_control.hidden")
        file.rename(hidden)
        try:
            yield
        finally:
            hidden.rename(file)

    def _end_database(self):
        running = self.postmaster()
        with contextlib.suppress(Failed, ProcessLookupError):
            self.end_database()
        sockets = running[1] if running else self._sockets
        if sockets and re.fullmatch(r"/(run|tmp)/penstock-[0-9a-f]{8}", sockets):
            shutil.rmtree(sockets, ignore_errors=True)

    def psql_environment(self, database="penstock_data"):
        """What psql needs to be the superuser there."""
        _, sockets = self.postmaster()
        return clean_environment({"PGHOST": sockets, "PGUSER": "penstock_admin", "PGDATABASE": database, "PGPORT": "5432",
                                  "PGPASSWORD": (self.state / "postgres.secret").read_text().strip()})

    def sql(self, statement, database="penstock_data"):
        """What the statement answers, as a list of rows of texts (NULL is None), run as the superuser."""
        mark = "\x01null"
        out = subprocess.run(["psql", "-XqAtF", "\x1f", "-R", "\x1e", "-P", f"null={mark}", "-v", "ON_ERROR_STOP=1", "-c",
                              statement], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                             env=self.psql_environment(database))
        check(out.returncode == 0, f"psql: {statement}", out.stderr)
        text = out.stdout[:-1] if out.stdout.endswith("\n") else out.stdout
        return [[None if v == mark else v for v in row.split("\x1f")] for row in text.split("\x1e")] if text else []

    # ---- talking to it ----

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self):
        return (self.state / "admin.key").read_text().strip()

    def request(self, method, path, body=None, type="application/json", key=None, headers=None, timeout=60, admin=False):
        """One request; key None = the admin key if there is one, "" = none. A body that is no bytes goes as JSON."""
        given = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, bytearray)):
            body = json.dumps(body).encode()
        if body is not None and type:
            given.setdefault("Content-Type", type)
        if key is None and (self.state / "admin.key").exists():
            key = self.key
        if key:
            given.setdefault("Authorization", f"Bearer {key}")
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port if admin else self.port, timeout=timeout)
        try:
            connection.request(method, path, body, given)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def api(self, method, path, body=None, expect=None, **more):
        """The same under /api/v1, with an Idempotency-Key on POST; any status but `expect` (default 2xx) fails."""
        headers = dict(more.pop("headers", None) or {})
        if method == "POST" and "/rows" not in path:
            headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        answer = self.request(method, "/api/v1" + path, body, headers=headers, **more)
        check(answer.status == expect if expect else 200 <= answer.status < 300, f"{method} {path}", answer)
        return answer

    def ingest(self, ws, store, body, type="application/x-ndjson", wait="stored", **more):
        """Rows (bytes as they are, or a list of objects sent as NDJSON); returns the verdict."""
        if isinstance(body, list):
            body = "\n".join(json.dumps(row) for row in body).encode()
        query = f"?wait={wait}" if wait else ""
        return self.api("POST", f"/workspaces/{ws}/datastores/{store}/rows{query}", body, type=type, **more).json

    def metric(self, ws, key, **params):
        """Runs a metric; the answer as a list of objects by column."""
        answer = self.api("POST", f"/workspaces/{ws}/metrics/{key}:run", {"params": params}).json
        names = [c["name"] for c in answer["columns"]]
        return [dict(zip(names, row)) for row in answer["rows"]]

    def cli(self, *words, stdin=None, code=0, timeout=120):
        """The command line in a context of this host; any exit code but `code` (None = any) fails."""
        if isinstance(stdin, str):
            stdin = stdin.encode()
        out = subprocess.run([str(CLI), *[str(w) for w in words]], input=stdin or b"", stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=timeout,
                             env=clean_environment({"PENSTOCK_CONFIG": str(self.folder / "cli.yaml"), "NO_COLOR": "1"}))
        out.text, out.errors = out.stdout.decode("utf-8", "replace"), out.stderr.decode("utf-8", "replace")
        check(code is None or out.returncode == code, f"penstock {' '.join(str(w) for w in words)}: exit {out.returncode}",
              out.errors, out.text)
        return out

    def cli_json(self, *words, **more):
        return json.loads(self.cli(*words, "-o", "json", **more).text)

    def rows(self, ws, store):
        """Every row of "layer:key" as an object, in key order, by `penstock store rows`."""
        out = self.cli("store", "rows", store, "-w", ws, "-o", "ndjson")
        return [json.loads(line) for line in out.stdout.splitlines()]

    def apply(self, template):
        self.cli("template", "apply", "-f", template, "--yes")

    def workspace(self, name, template, **params):
        words = [w for k, v in params.items() for w in ("-p", f"{k}={v}")]
        self.cli("workspace", "create", name, "--template", template, *words)


# ---- sinks ----


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 64


class Sink:
    """A server on a free port of the loopback that keeps what it receives in `received`."""

    def __init__(self, handler, server=_Server):
        self.received, self.lock = [], threading.Lock()
        self.server = server(("127.0.0.1", 0), handler)
        self.server.sink = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(POLL_S,), daemon=True).start()
        _stack.callback(self.close)

    def keep(self, what):
        with self.lock:
            self.received.append(what)

    def all(self):
        with self.lock:
            return list(self.received)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class HttpSink(Sink):
    """Answers the POSTs with the statuses in `first`, one each, and then with `answer` (200); keeps {path, headers, body,
    answered}."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sink = self.server.sink
            with sink.lock:
                answer = sink.first.pop(0) if sink.first else sink.answer
            sink.keep({"path": self.path, "headers": dict(self.headers.items()), "body": body, "answered": answer})
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    def __init__(self, answer=200, first=()):
        self.answer, self.first = answer, list(first)
        super().__init__(HttpSink.Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"


class MailSink(Sink):
    """Speaks enough SMTP for a client that delivers in good faith; keeps {from, to, message}."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line):
            self.wfile.write(line.encode() + b"\r\n")

        def data(self):
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line[1:] if line.startswith(b"..") else line)
            return b"".join(lines)

        def handle(self):
            sender, to = None, []
            self.say("220 sink ESMTP")
            while line := self.rfile.readline():
                verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
                verb = verb.upper()
                if verb == "EHLO":
                    self.say("250-sink")
                    self.say("250 8BITMIME")
                elif verb == "MAIL":
                    sender, to = rest.partition(":")[2].strip(), []
                    self.say("250 OK")
                elif verb == "RCPT":
                    to.append(rest.partition(":")[2].strip().strip("<>"))
                    self.say("250 OK")
                elif verb == "DATA":
                    self.say("354 go on")
                    message = email.message_from_bytes(self.data())
                    self.server.sink.keep({"from": sender, "to": to, "message": message})
                    self.say("250 kept")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 OK" if verb in ("HELO", "RSET", "NOOP") else "502 not here")

    def __init__(self):
        super().__init__(MailSink.Handler)

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"


# ---- a test ----


def _on_alarm(number, frame):
    raise Failed("the test took longer than it may")


def _on_term(number, frame):
    raise KeyboardInterrupt


def _tell(hosts):
    for host in hosts:
        if host.log_path.exists():
            say(f"---- the end of {host.log_path} ----\n" + "\n".join([line for line in host.log().splitlines() if "msg=request" not in line or "status=5" in line
                           and "readyz" not in line][-60:]))


def main(*tests):
    """Runs the functions one after the other; exit 0, 1, or 77 = all skipped. Cleans up after each."""
    names, failed, skipped = sys.argv[1:], [], 0
    chosen = [t for t in tests if not names or t.__name__ in names]
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.signal(signal.SIGTERM, _on_term)
    signal.alarm(int(os.environ.get("PENSTOCK_TEST_SECONDS", "600")))
    for test in chosen:
        began = time.monotonic()
        try:
            with _stack:
                try:
                    test()
                except Skipped:
                    raise
                except BaseException:
                    _tell(_hosts)
                    raise
                finally:
                    _hosts.clear()
            say(f"ok {test.__name__} ({time.monotonic() - began:.1f} s)")
        except Skipped as why:
            skipped += 1
            say(f"SKIPPED {test.__name__}: {why}")
        except Exception:
            failed.append(test.__name__)
            traceback.print_exc(file=sys.stdout)
            say(f"FAILED {test.__name__} ({time.monotonic() - began:.1f} s)")
    sys.exit(1 if failed else SKIPPED if skipped and skipped == len(chosen) else 0)
