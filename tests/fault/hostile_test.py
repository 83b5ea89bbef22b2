"""Plugins that try to get out of their cell, in a live host: a connector and a metric engine each make every attempt they
know, from a constructor and when they are called; none succeeds, each denial is logged once under the plugin's name and
audited, and what was applied is shown and is no less than a stock Linux 6.1 offers. Beside them two notifiers deliver."""
import json
import re
import socket

import harness
from harness import BUILD, Host, HttpSink, MailSink, check, equal, main, say, wait_for

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: hostile, version: 1.0.0}}
datastores:
  attempts:
    schema:
      type: object
      required: [time, attempt]
      additionalProperties: false
      properties:
        time: {{type: string, format: date-time}}
        attempt: {{type: string}}
        outcome: {{type: string}}
        succeeded: {{type: boolean}}
    time: time
    entity: [attempt]
    accept: {{past: any, future: any}}
metrics:
  number: {{value: n, sql: "SELECT count(*) AS n FROM datastore:attempts"}}
  attempts: {{plugin: org.penstock.test.intruder-metric, config: {pure}, definition: {{try: all}}}}
connectors:
  intruder: {{plugin: org.penstock.test.intruder, config: {net}, into: datastore:attempts}}
notifiers:
  hook: {{plugin: org.penstock.notifier.webhook, config: {{url: "{hook}"}}}}
  secret_hook: {{plugin: org.penstock.notifier.webhook, config: {{url_secret: hook_url}}}}
  mail: {{plugin: org.penstock.notifier.email, config: {{url: "{mail}", to: [a@example.org], starttls: never}}}}
alerts:
  any: {{metric: number, clock: wall, every: 1s, condition: {{fire_at: "> 0", clear_at: "< 0"}}, for: 0s, notify: [hook, mail, secret_hook]}}
"""


def listener(kind):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        s.listen(100)
    s.setblocking(False)
    return s


def silent(s):
    try:
        s.accept() if s.type == socket.SOCK_STREAM else s.recv(1)
    except BlockingIOError:
        return True
    return False


def instance(host, name):
    return next((i for i in host.api("GET", "/system").json["instances"] if i["name"] == name and i["calls"]), None)


def strong_enough(name, found, network):
    """What a stock 6.1 kernel offers; more is welcome and printed."""
    box = found["sandbox"]
    say(f"{name}: {json.dumps(box)}")
    check(box["no_new_privs"] and box["capabilities"] == "none", f"{name}: privileges", box)
    equal(box["seccomp"], "allow-list+notify", f"{name}: seccomp")
    check(box["landlock"] >= 2 and box["landlock_files"], f"{name}: Landlock", box)
    equal(box["network"], network, f"{name}: the network")


def told_once(host, plugin):
    """The different denials of a plugin; none is logged twice."""
    lines = re.findall(rf'msg=denied .*plugin={re.escape(plugin)} what=sandbox about="?(.*?)"?$', host.log(), re.M)
    equal(len(lines), len(set(lines)), f"denials of {plugin} that are logged twice")
    return set(lines)


def told(host):
    """What the log, which comes behind what happens, says of both plugins' denials by now."""
    return "\n".join(told_once(host, "org.penstock.test.intruder") | told_once(host, "org.penstock.test.intruder-metric"))


def nothing_gets_out():
    hidden = HttpSink()
    web, post, tcp, udp = HttpSink(), MailSink(), listener(socket.SOCK_STREAM), listener(socket.SOCK_DGRAM)
    host = Host(plugins=[harness.PLUGINS, BUILD / "tests" / "plugins"])
    host.start()
    outside = host.folder / "outside.txt"
    outside.write_text("not for plugins")
    net = {"host": host.process.pid, "sibling": host.postmaster()[0], "tcp_port": tcp.getsockname()[1],
           "udp_port": udp.getsockname()[1], "private_address": "10.255.0.1", "private_port": 1883,
           "named_port": web.port, "names": "example.org localhost", "reach": ["10.255.0.1:1883", f"127.0.0.1:{web.port}"],
           "files": [str(outside), str(host.state / "admin.key"), str(host.state / "postgres.secret"), str(host.state),
                     str(host.state / "plugins")]}
    template = host.folder / "hostile.yaml"
    template.write_text(TEMPLATE.format(pure=json.dumps({**net, "named_port": 0}), net=json.dumps(net), mail=f"smtp://localhost:{post.port}",
                                        hook=web.url))
    host.cli("template", "apply", "-f", template, "--yes")
    host.workspace("bad", "hostile")
    host.cli("secret", "set", "hook_url", "-w", "bad", stdin=hidden.url)
    wait_for("the connector's attempts are stored", lambda: host.rows("bad", "datastore:attempts"), 60)
    by_connector, by_engine = host.rows("bad", "datastore:attempts"), host.metric("bad", "attempts")
    for who, rows in (("connector", by_connector), ("metric engine", by_engine)):
        say(f"{who}: {len(rows)} attempts, {sum(1 for r in rows if r['succeeded'])} succeeded")
        check(len(rows) > 100, f"the {who} has tried", len(rows))
        equal([r for r in rows if r["succeeded"]], [], f"what the {who} got through with")
    check(silent(tcp) and silent(udp), "nothing arrived where the configuration does not point")
    source, engine = instance(host, "connector:intruder"), instance(host, "metric:attempts")
    strong_enough("connector", source, "broker")
    strong_enough("metric engine", engine, "none")
    for part in (f"connect to 127.0.0.1:{tcp.getsockname()[1]} was refused: the configuration does not name it",
                 "connect to 10.255.0.1:1883 was refused: private addresses need networks.allow",
                 f"sending to 127.0.0.1:{udp.getsockname()[1]} was refused", "resolving example.org was refused",
                 "opening /etc/passwd was refused", "admin.key", "the call execve was refused", "the call ptrace was refused",
                 "the call io_uring_setup was refused", "the call listen was refused"):
        wait_for(f"the log tells: {part}", lambda: part in told(host), 10)
    denied = told_once(host, "org.penstock.test.intruder")
    wait_for("the denials are counted", lambda: instance(host, "connector:intruder")["denials"] >= len(denied), 10)
    check(source["last_denial"], "the last one is shown", source)
    audited = host.sql("SELECT count(*) FROM control.audit WHERE verb LIKE '%denied%'", "penstock_control")
    check(int(audited[0][0]) > 0, "the denials are audited", audited)
    wait_for("the webhook delivers to an address", web.all, 30)
    wait_for("the webhook delivers to an address that is a secret", hidden.all, 60)
    wait_for("the mail is delivered by a name", post.all, 30)
    check(host.process.poll() is None, "the host runs")


main(nothing_gets_out)
