"""The processes of plugins in a live host, as its API shows them."""
import os
import signal

from harness import say, wait_for


def instance(host, name, plugin=None):
    """What is shown of `connector:rig`, `model:judge` …; None while there is none. With its plugin's id: all that there is."""
    shown = host.api("GET", f"/plugins/{plugin}" if plugin else "/system").json["instances"]
    return next((i for i in shown if i["name"] == name), None)


def running(host, name):
    return wait_for(f"{name} runs", lambda: (i := instance(host, name)) and i["pid"] and i, 30)


def kill(host, name):
    """Kills the process of an instance that is running; what was shown of it."""
    found = running(host, name)
    os.kill(found["pid"], signal.SIGKILL)
    say(f"{name}: process {found['pid']} was killed after {found['calls']} calls")
    return found
