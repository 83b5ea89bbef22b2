"""`penstock template test` on a host of its own: what it says, how it exits, and that nothing is left of it."""
import json
import os
import signal
import subprocess

from harness import CLI, SOURCE, check, equal, folder, main, wait_for

PUMPS = SOURCE / "templates" / "pump-station"


def environment(place):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    return dict(clean, TMPDIR=str(place), NO_COLOR="1", PENSTOCK_CONFIG=str(place / "none.yaml"))


def run(place, template, code, *more):
    out = subprocess.run([str(CLI), "template", "test", str(template), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=120, env=environment(place))
    equal(out.returncode, code, f"exit code of template test ({out.stdout}{out.stderr})")
    equal(list(place.glob("penstock-*")), [], "folders left behind")
    return out.stdout


def changed(place, old, new):
    text = (PUMPS / "template.yaml").read_text()
    check(old in text, f"the shipped template has {old}")
    path = place / "changed.yaml"
    path.write_text(text.replace(old, new))
    return path


def shipped_template_passes():
    result = json.loads(run(folder(), PUMPS, 0, "-o", "json"))
    equal(result["failed"], 0, "failed tests")
    check({"test": "spike_is_found", "passed": True, "differences": ""} in result["tests"], "spike_is_found passes", result)


def failures_name_the_cells():
    place = folder()
    out = run(place, changed(place, "n: 1, pressure_avg: 399}", "n: 2, pressure_avg: 399}"), 7)
    check("FAIL  spike_is_found" in out and "n is 1" in out and "0 passed, 1 failed" in out, "the cell is named", out)
    early = "[{time: 2024-01-01T00:00:00Z, device_id: p1}, {time: 2026-01-01T00:00:00Z, device_id: p1, pressure: 399}]"
    given = "[{time: 2026-01-01T00:00:00Z, device_id: p1, pressure: 399}]"
    out = run(place, changed(place, given, early), 7)
    check("given row 0" in out and "time_out_of_window" in out, "a row before the window of the test's clock", out)


def a_killed_run_leaves_nothing():
    place = folder()
    with subprocess.Popen([str(CLI), "template", "test", str(PUMPS)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env=environment(place)) as program:
        wait_for("the host has its PostgreSQL", lambda: list(place.glob("penstock-*/postgres/postmaster.pid")), 60)
        program.send_signal(signal.SIGKILL)
    wait_for("the guard has tidied up", lambda: not list(place.glob("penstock-*")), 60)


if __name__ == "__main__":
    main(shipped_template_passes, failures_name_the_cells, a_killed_run_leaves_nothing)
