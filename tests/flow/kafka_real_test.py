"""The same against a real broker: kills of the host, a restart of the broker, and partitions that change hands while records
come, without one that is lost or stored twice. `./dev test --interop` brings it."""
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
from streams import all_once, apply, wait_stored

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


class Broker:
    def __init__(self):
        jars = os.environ.get("PENSTOCK_KAFKA")
        if not jars or not list(pathlib.Path(jars).glob("kafka_2.13-*.jar")) or not shutil.which("java"):
            raise harness.Skipped("no real Kafka; ./dev test --interop brings it where Maven and Java are")
        self.folder, self.port, self.process = harness.folder("penstock-kafka-"), free_port(), None
        self.java = ["java", "-Xmx256m", "-cp", f"{jars}/*"]
        self.settings = self.folder / "server.properties"
        self.settings.write_text(PROPERTIES.format(port=self.port, controller=free_port(), folder=self.folder))
        subprocess.run([*self.java, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAA", "-c", str(self.settings)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        harness.at_end(self.close)

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*self.java, "kafka.Kafka", str(self.settings)], stdout=log, stderr=log, cwd=self.folder,
                                            stdin=subprocess.DEVNULL)
        wait_for("the broker listens", self._listens, 60)
        return self

    def _listens(self):
        check(self.process.poll() is None, "Kafka runs", (self.folder / "log").read_text(errors="replace")[-2000:])
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)


def real():
    broker = Broker().start()
    cluster = kafka_peer.Cluster("client", f"127.0.0.1:{broker.port}")
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


harness.main(real)
