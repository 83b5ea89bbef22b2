"""A PostgreSQL of the test's own, as somebody else's database: a cluster on a free port of the loopback with passwords, and
with TLS where it is wanted."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess

import harness
from harness import check, wait_for

SUPERUSER, PASSWORD = "owner", "owners-word"
READER, READERS_PASSWORD = "reader", "readers-word"


def bin_folder():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    check(found, "PostgreSQL is installed")
    return found[-1]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    def __init__(self, pems=None):
        """`pems`: a folder with ca.pem, server.pem, server.key: TLS only, and users show a certificate if they have one."""
        self.folder, self.port, self.process, self.pems = harness.folder("penstock-pg-"), free_port(), None, pems
        self.data = self.folder / "data"
        harness.at_end(self.close)
        words = self.folder / "word"
        words.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        words.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", SUPERUSER, "--pwfile", words, "-A", "scram-sha-256", "-N", "-E", "UTF8",
                  "--locale=C")
        if pems:
            self._keep(pems / "ca.pem", "ca.pem")
            self._show("server")
            (self.data / "pg_hba.conf").write_text("hostssl all client all cert\nhostssl all all all scram-sha-256\n")

    def _keep(self, source, name):
        to = self.data / name
        shutil.copy(source, to)
        to.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(to, "postgres")

    def _show(self, name):
        self._keep(self.pems / f"{name}.pem", "server.pem")
        self._keep(self.pems / f"{name}.key", "server.key")

    def show(self, name):
        """Another certificate, to whoever connects from now on: all must."""
        self._show(name)
        self.sql("SELECT pg_reload_conf()")
        expected = ssl.PEM_cert_to_DER_cert((self.pems / f"{name}.pem").read_text())
        wait_for("the server shows it", lambda: self._shown() == expected)
        self.drop()

    def _shown(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port)) as plain:
            plain.sendall(struct.pack("!II", 8, 80877103))  # a request for TLS
            plain.recv(1)
            with context.wrap_socket(plain) as wrapped:
                return wrapped.getpeercert(binary_form=True)

    def drop(self):
        """Ends the connectors' sessions."""
        self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> '{SUPERUSER}'")

    def _words(self, program, *words):
        before = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        return [*before, str(bin_folder() / program), *[str(w) for w in words]]

    def _run(self, program, *words):
        out = subprocess.run(self._words(program, *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                             cwd="/", check=False)
        check(out.returncode == 0, program, out.stdout)

    def start(self):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
                    "max_connections": 30, "shared_buffers": "16MB"}
        if self.pems:
            settings |= {"ssl": "on", "ssl_ca_file": "ca.pem", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}
        flags = [w for k, v in settings.items() for w in ("-c", f"{k}={v}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self._words("postgres", "-D", self.data, *flags), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd="/")
        wait_for("PostgreSQL answers", self._answers, 30)
        return self

    def _answers(self):
        check(self.process.poll() is None, "PostgreSQL runs", (self.folder / "log").read_text()[-2000:])
        return self._psql("SELECT 1", "postgres").returncode == 0

    def stop(self, how=signal.SIGINT):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), how)
            self.process.wait(30)
            self.process = None

    def close(self):
        if self.process and self.process.poll() is None:
            self.freeze(False)
            self.stop(signal.SIGQUIT)

    def freeze(self, frozen=True):
        """The machine is there and nobody answers: the postmaster and all its backends stand still."""
        for pid in harness.family(int((self.data / "postmaster.pid").read_text().split()[0])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _psql(self, statement, database):
        more = {"PGSSLMODE": "require"} if self.pems else {}
        return subprocess.run(["psql", "-XqAtF", "|", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=statement, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False,
                              env={**harness.clean_environment(), "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": SUPERUSER,
                                   "PGPASSWORD": PASSWORD, "PGDATABASE": database, **more})

    def sql(self, statement, database="postgres"):
        out = self._psql(statement, database)
        check(out.returncode == 0, f"psql: {statement[:300]}", out.stderr)
        return [line.split("|") for line in out.stdout.splitlines()]

    def with_reader(self, database="shop"):
        """A database and somebody who may only read in it."""
        self.sql(f"CREATE DATABASE {database}")
        self.sql(f"CREATE ROLE {READER} LOGIN PASSWORD '{READERS_PASSWORD}'")
        self.sql(f"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {READER}", database)
        return self
