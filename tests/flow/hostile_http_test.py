"""Bytes that are no decent request, on the plain port of a host with `http.chunked: refuse`: the first status is one that is
allowed, the connection is closed where it must be, no request that hides in the bytes is run, nobody else waits."""
import contextlib
import re
import socket
import time

import hostile
from harness import Host, main, testdata

GOOD = "/healthz"  # no input asks for it
DEADLINE_S = 1  # the host's for a whole request; an input that leaves it unfinished is closed then


def talk(host, sent, until_closed):
    """(all that comes back, whether the host closed)"""
    got, began = b"", time.monotonic()
    with socket.create_connection(("127.0.0.1", host.port), timeout=10) as s:
        with contextlib.suppress(OSError):  # it may close before it has taken everything
            s.sendall(sent)
        while (left := began + (DEADLINE_S + 1 if until_closed else 0.3) - time.monotonic()) > 0:
            s.settimeout(left)
            try:
                part = s.recv(65536)
            except TimeoutError:
                break
            except ConnectionResetError:
                return got, True
            if not part:
                return got, True
            got += part
    return got, False


def statuses(answer):
    return [int(n) for n in re.findall(rb"^HTTP/1\.[01] (\d{3})", answer, re.MULTILINE)]


def judge(case, answer, closed, log, wrong):
    found, allowed = statuses(answer), set(case["first_status"])
    run = [r for r in re.findall(r"msg=request .*?path=(\S+) status=(\d+)", log) if r[0] != GOOD and r[1] != "0"]
    if found and found[0] not in allowed:
        wrong(f"status {found[0]}, allowed {sorted(allowed)}")
    if not found and not (case["must_close"] and closed):
        wrong("no answer")
    if case["must_close"] and not closed:
        wrong("left open")
    if len(run) > 1:
        wrong(f"a second request was run: {run}")
    if not case["requests_run"] and any(int(status) < 400 for _, status in run):
        wrong(f"it was run: {run}")


def every_input_is_refused_as_it_should_be():
    cases = hostile.index("http/index.json")
    host = Host(settings=["--http-chunked", "refuse", "--http-receive-timeout", f"{DEADLINE_S}s", "--log-level", "debug"]).start()
    ward = hostile.Ward(host, lambda: host.request("GET", GOOD).status)
    for case in cases:
        with ward.input(case["file"]) as wrong:
            at = host.log_path.stat().st_size
            answer, closed = talk(host, testdata(f"hostile/http/{case['file']}").read_bytes(), case["must_close"])
            judge(case, answer, closed, host.log(at), wrong)
    ward.finish("hostile/http")


main(every_input_is_refused_as_it_should_be)
