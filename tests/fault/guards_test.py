"""Each guard that the promises rest on is taken out in turn (PENSTOCK_FAULT, in builds with fault hooks only), and the test
that docs/guarantees.md names for it must then fail. That they pass with every guard in place is shown by the tests
themselves."""
import os
import re
import subprocess

import harness
from harness import check, equal, say

DOCS = harness.SOURCE / "docs" / "guarantees.md"
ROW = re.compile(r"^\| `(\w+)` \|.*\| `unit/(\w+)/(\w+)`: `(\w+)` \|$", re.M)
SEAM = re.compile(r'fault_active\(([^)]*)\)')  # which may choose between two
NAME = re.compile(r'"(\w+)"')


def table():
    """[(guard, module, noun, function)] as documented."""
    return ROW.findall(DOCS.read_text())


def the_table_is_whole():
    sources = "".join(file.read_text() for file in (harness.SOURCE / "host").rglob("*.c"))
    seams = {name for given in SEAM.findall(sources) for name in NAME.findall(given)}
    guards = [guard for guard, *_ in table()]
    equal(sorted(guards), sorted(seams), "guards in docs/guarantees.md and in the sources")


def run_without(guard, module, noun, function):
    program = harness.BUILD / "tests" / "unit" / module / f"unit_{module}_{noun}"
    out = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                         env={**os.environ, "PENSTOCK_FAULT": guard, "PENSTOCK_TEST": function})
    text = out.stdout.decode("utf-8", "replace")
    check(f"[ RUN      ] {function}" in text, f"{program.name} has the test {function}", text[-1500:])
    check(f"[  SKIPPED ] {function}" not in text, f"{function} was not skipped", text[-1500:])
    check(out.returncode != 0 and f"[  FAILED  ] {function}" in text, f"{function} fails without the guard {guard}",
          text[-3000:])


def each_guard_matters():
    if "PENSTOCK_FAULTS:BOOL=ON" not in (harness.BUILD / "CMakeCache.txt").read_text():
        raise harness.Skipped("this build has no fault hooks")
    for row in table():
        run_without(*row)
        say(f"without {row[0]}: {row[3]} fails")


harness.main(the_table_is_whole, each_guard_matters)
