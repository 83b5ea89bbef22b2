"""The same against a real broker: kills of the host, a restart of the broker, and partitions that change hands while records
come, without one that is lost or stored twice; passwords by SCRAM, and TLS. `./dev test --interop` brings it."""
import os
import pathlib
import signal
import shutil
import socket
import subprocess

import harness
import kafka_peer
from harness import check, say, wait_for
from kafka_test import JOIN_S, MAP, record, settings, wait_committed
from far_side import STATE_S, WS, free_port, wait_state
from streams import all_once, apply, certificates, secret, wait_stored

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},SCRAM://127.0.0.1:{scram},TLS://127.0.0.1:{tls},BOTH://127.0.0.1:{both},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SCRAM:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512
{logins}
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""
LOGIN = "listener.name.{listener}.{mechanism}.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Broker:
    """Apache Kafka alone on the loopback, with a listener for each kind of security: `ports`."""

    def __init__(self):
        jars = os.environ.get("PENSTOCK_KAFKA")
        if not jars or not list(pathlib.Path(jars).glob("kafka_2.13-*.jar")) or not shutil.which("java"):
            raise harness.Skipped("no real Kafka; ./dev test --interop brings it where Maven and Java are")
        self.folder, self.process = harness.folder("penstock-kafka-"), None
        self.ports = {name: free_port() for name in ("port", "scram", "tls", "both", "controller")}
        self.pems = certificates(harness.folder())
        (self.folder / "broker.pem").write_text((self.pems / "good.key").read_text() + (self.pems / "good.pem").read_text())
        self.java = ["java", "-Xmx256m", "-cp", f"{jars}/*"]
        self.settings = self.folder / "server.properties"
        logins = (LOGIN.format(listener=where, mechanism=how) for where in ("scram", "both") for how in ("scram-sha-256", "scram-sha-512"))
        self.settings.write_text(PROPERTIES.format(**self.ports, folder=self.folder, logins="\n".join(logins)))
        users = [w for how in ("256", "512") for w in ("--add-scram", f"SCRAM-SHA-{how}=[name=pump{how},password=right]")]
        made = subprocess.run([*self.java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAA", "-c", str(self.settings),
                               *users], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        check(made.returncode == 0, "Kafka's folder is made", made.stdout.decode(errors="replace"))
        harness.at_end(self.close)

    def at(self, listener):
        return f"127.0.0.1:{self.ports[listener]}"

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self.java, "kafka.Kafka", str(self.settings)], stdout=log, stderr=log, cwd=self.folder,
                                            stdin=subprocess.DEVNULL)
        wait_for("the broker listens", self._listens, 60)
        return self

    def _listens(self):
        check(self.process.poll() is None, "Kafka runs", (self.folder / "log").read_text(errors="replace")[-2000:])
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.ports["port"])) == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)


def real():
    broker = Broker().start()
    cluster = kafka_peer.Cluster("client", broker.at("port"))
    cluster.create("readings", 4)
    host = harness.Host().start()
    entry = {"config": settings(cluster.brokers, group="both"), "into": "datastore:appended"}
    apply(host, "kafka", MAP, one=entry, two={**entry, "paused": True})
    host.workspace(WS, "streams")
    sent = 0

    def send(count):
        nonlocal sent
        cluster.send("readings", (record(n, 4) for n in range(sent, sent + count)))
        sent += count
    send(300)
    wait_stored(host, "appended", range(sent), JOIN_S)
    for _ in range(2):
        send(500)
        host.kill()
        send(200)  # the broker keeps them
        host.start()
        wait_stored(host, "appended", range(sent), JOIN_S)
    host.cli("connector", "resume", "two", "-w", WS)
    def shared():
        send(50)  # while partitions change hands
        return all(host.api("GET", f"/workspaces/{WS}/connectors/{n}").json["last_rows"] for n in ("one", "two"))
    wait_for("both members have a share", shared, JOIN_S)
    host.cli("connector", "pause", "one", "-w", WS)
    send(100)
    wait_stored(host, "appended", range(sent), JOIN_S)
    broker.stop()
    wait_state(host, "two", "down")
    broker.start()
    wait_state(host, "two", "ok", timeout=STATE_S + JOIN_S)
    send(100)
    all_once(host, "appended", range(sent))
    wait_committed(cluster, "both", sent, 4)
    say(f"{sent} records over two members, 2 kills of the host, 1 restart of the broker")


def secure():
    """Passwords by SCRAM and TLS, one and both, what is wrong with them, and rows from each that is let in."""
    broker = Broker().start()
    cluster = kafka_peer.Cluster("client", broker.at("port"))
    cluster.create("readings", 3)
    host = harness.Host().start()
    trusts = {"tls": {"ca": {"pem": (broker.pems / "ca.pem").read_text()}}}

    def who(mechanism, user, password="right"):
        return {"sasl": {"mechanism": mechanism, "user": user, "password": password}}
    connectors = {
        "sha256": ("scram", who("SCRAM-SHA-256", "pump256"), "ok", ""), "sha512": ("scram", who("SCRAM-SHA-512", "pump512"), "ok", ""),
        "tls": ("tls", trusts, "ok", ""), "both": ("both", {**trusts, **who("SCRAM-SHA-512", "pump512")}, "ok", ""),
        "wrong": ("scram", who("SCRAM-SHA-256", "pump256", "other"), "needs_you", "uthentication"),
        "stranger": ("both", {**trusts, **who("SCRAM-SHA-512", "nobody")}, "needs_you", "uthentication"),
        "weaker": ("scram", who("PLAIN", "pump256"), "needs_you", "PLAIN"), "untrusting": ("tls", {"tls": {}}, "needs_you", "is not trusted")}
    apply(host, "kafka", MAP, **{name: {"config": settings([broker.at(listener)], **more), "paused": True}
                                 for name, (listener, more, *_) in connectors.items()})
    host.workspace(WS, "streams")
    for name in ("right", "other"):
        secret(host, name, name)
    cluster.send("readings", (record(n) for n in range(30)))
    for name in connectors:
        host.cli("connector", "resume", name, "-w", WS)
    for name, (_, _, expected, reason) in connectors.items():
        wait_state(host, name, expected, reason, timeout=JOIN_S)

    def read():
        return all(host.api("GET", f"/workspaces/{WS}/connectors/{n}").json["last_rows"] for n, c in connectors.items() if c[2] == "ok")
    wait_for("each that is let in has read", read, JOIN_S)
    all_once(host, "keyed", range(30))


harness.main(real, secure)
