"""What every test of hostile inputs holds a host to, whatever it does with the input itself: an answer in time, bounded memory,
the next good request on a new connection answered as before, no error in the log, the process alive.

Memory is judged without sanitizers only: those keep what was freed.
"""
import contextlib
import json
import pathlib
import time

import harness
from harness import check, say

INPUT_S, SLOW_S = 2.0, 5.0  # an answer's time; with sanitizers on a busy machine
MEMORY_KIB = 64 << 10

TEMPLATE = """
apiVersion: penstock/v1
kind: Template
metadata: {key: hostile, version: 1.0.0}
datastores:
  events: &any
    schema:
      type: object
      properties:
        ts:       {type: string, format: date-time}
        pump_id:  {type: string}
        pressure: {type: number}
        count:    {type: integer}
        doc:      {}
  pump: *any
"""


def index(path):
    return json.loads(harness.testdata(f"hostile/{path}").read_bytes())


def host_with_events(settings=()):
    host = harness.Host(settings=settings)
    template = host.folder / "hostile.yaml"
    template.write_text(TEMPLATE)
    host.start()
    host.apply(template)
    host.workspace("w", "hostile")
    return host


def accepted(answer):
    """With `?wait=stored`: every row is there."""
    return answer.status == 200 and answer.json["rejected"] == 0


def refused(answer):
    return 400 <= answer.status < 500 or (answer.status == 200 and answer.json["rejected"] > 0)


def as_verdict(answer, verdict, wrong):
    """`verdict`: accept, reject, or either, which still has to be one of the two."""
    fits = {"accept": accepted(answer), "reject": refused(answer), "either": accepted(answer) or refused(answer)}
    if not fits[verdict]:
        wrong(f"not as it must be ({verdict}): {answer}")


class Ward:
    """Counts the inputs; `good` is a request that is answered in one way at all times."""

    def __init__(self, host, good, memory_kib=MEMORY_KIB):
        self.host, self.good, self.memory_kib = host, good, memory_kib
        self.expected, self.inputs, self.wrong = good(), 0, []
        maps = pathlib.Path(f"/proc/{host.process.pid}/maps").read_text()
        self.sanitized = "asan" in maps or "tsan" in maps

    def _status(self, name):
        lines = pathlib.Path(f"/proc/{self.host.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

    @contextlib.contextmanager
    def input(self, name):
        """Around the sending of one input: calls the function that it gives for everything that is wrong with the answer."""
        self.inputs += 1
        wrong = []
        pathlib.Path(f"/proc/{self.host.process.pid}/clear_refs").write_text("5")  # the peak begins anew
        before, began = self._status("VmRSS"), time.monotonic()
        yield lambda what: wrong.append(str(what)[:400])
        took = time.monotonic() - began
        check(self.host.process.poll() is None, f"{name}: the host lives", self.host.process.returncode)
        if took > (SLOW_S if self.sanitized else INPUT_S):
            wrong.append(f"it took {took:.1f} s")
        grown = self._status("VmHWM") - before
        if grown > self.memory_kib and not self.sanitized:
            wrong.append(f"memory grew by {grown >> 10} MiB")
        if (now := self.good()) != self.expected:
            wrong.append(f"a good request is answered {now} instead of {self.expected}")
        if wrong:
            self.wrong.append(f"{name}: " + "; ".join(wrong))

    def finish(self, what):
        errors = [line for line in self.host.log().splitlines() if "level=error" in line]
        say(f"{what}: {self.inputs - len(self.wrong)} of {self.inputs}")
        check(not self.wrong, f"{what}: {len(self.wrong)} inputs are not taken as they must be", "\n    ".join(self.wrong))
        check(not errors, "no input is an error of the host's", "\n".join(errors))
