"""What a plugin keeps through penstock.state outlives its cell and the host, is of one workspace, and goes with the
connector."""
import re
import shutil

import harness
from harness import check, equal, wait_for

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {{key: counting, version: {version}, title: Counting}}
datastores:
  rows:
    schema:
      type: object
      required: [time, n]
      additionalProperties: true
      properties:
        time: {{type: string, format: date-time}}
        n: {{type: integer}}
    time: time
    accept: {{past: any, future: any}}
{connectors}
"""
CONNECTORS = """
connectors:
  counter:
    plugin: org.penstock.test.echo-source
    config: {rows: 1, remember: true}
    into: datastore:rows
"""


def times(host, start=0):
    """What the plugins said since `start`, in order."""
    return [int(n) for n in re.findall(r"msg=remembered .*?times=(\d+)", host.log(start))]


def kept(host):
    return int(host.sql("SELECT count(*) FROM control.plugin_state", database="penstock_control")[0][0])


def state_lasts():
    folder = harness.folder() / "plugins"
    folder.mkdir(mode=0o755)
    shutil.copy(harness.BUILD / "tests" / "plugins" / "echo_source.so", folder)
    host = harness.Host(plugins=[folder]).start()
    template = host.folder / "t.yaml"
    template.write_text(TEMPLATE.format(version="1.0.0", connectors=CONNECTORS))
    host.apply(template)
    host.workspace("one", "counting")
    wait_for("the first count", lambda: times(host) == [1])
    host.workspace("two", "counting")
    wait_for("a count of its own", lambda: times(host) == [1, 1])
    equal(kept(host), 2, "states")
    mark = len(host.log().encode())
    host.stop()
    host.start()
    wait_for("both go on counting", lambda: times(host, mark) == [2, 2])
    shortest = host.sql("SELECT min(octet_length(blob)) FROM control.plugin_state", database="penstock_control")
    check(int(shortest[0][0]) > 32, "values are sealed: one digit is longer than itself", shortest)
    template.write_text(TEMPLATE.format(version="1.1.0", connectors=""))
    host.cli("template", "apply", "-f", template, "--yes", "--all")
    wait_for("the states go with the connector", lambda: kept(host) == 0)


harness.main(state_lasts)
