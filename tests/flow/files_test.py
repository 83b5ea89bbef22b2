"""Files as sources: what is wrong with one is said by its connector within seconds, and costs nothing else; what is there is
read once, over kills of the host, rotations and rows that are written slowly."""
import gzip

import harness
import streams
from harness import check, equal, wait_for
from mqtt_peer import WS, state, wait_state

PLUGIN = "org.penstock.connector.csv"
HEADER = "t,device,n\n"


def line(n):
    return f"{streams.T0 + n},file,{n}\n"


def lines(numbers):
    return "".join(line(n) for n in numbers)


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def connector(path, into="keyed", **config):
    return {"plugin": PLUGIN, "format": "csv", "config": {"path": str(path), "poll_ms": 100, **config}, "into": f"datastore:{into}",
            "decode": {"map": {"time": {"from": "t", "time": "unix_ms"}}}}


def prepare(folder):
    (folder / "grows.csv").write_text(HEADER + lines(range(100)))
    (folder / "garbage.csv").write_bytes(bytes(range(256)) * 20 + b"\n1,2,3\n")
    packed = gzip.compress((HEADER + lines(range(1000, 1300))).encode())
    (folder / "torn.csv.gz").write_bytes(packed[:-20])
    (folder / "mixed.csv").write_text(HEADER + line(2000) + "never,file,1\n" + "x" * 3000 + "\n" + line(2001))
    return folder


def faults():
    """Each fault beside a file that is well and grows, in a store without a key."""
    folder = prepare(harness.folder())
    host = harness.Host(files=[str(folder)]).start()
    streams.apply(host, "csv", {}, grows=connector(folder / "grows.csv", "appended", follow=True), later=connector(folder / "later.csv", follow=True),
                  absent=connector(folder / "absent.csv"), outside=connector("/etc/passwd"), garbage=connector(folder / "garbage.csv"),
                  torn=connector(folder / "torn.csv.gz"), mixed=connector(folder / "mixed.csv", max_record_bytes=1000))
    host.workspace(WS, "streams")
    for name, expected, reason in (("grows", "ok", ""), ("later", "ok", ""), ("absent", "needs_you", "no such file"),
                                   ("outside", "needs_you", "files.allow"), ("garbage", "ok", ""), ("torn", "ok", ""), ("mixed", "ok", "")):
        wait_state(host, name, expected, reason)
    streams.wait_stored(host, "keyed", [2000, 2001])
    check(set(streams.stored(host, "keyed")) > set(range(1000, 1100)), "what could be unpacked of a torn file is there")
    def refused(reason):
        return host.sql(f"SELECT detail FROM penstock.dead_letter_wid1 WHERE detail LIKE '%{reason}%'")
    for reason in ("no header", "gzip data is damaged", "longer than 1000 bytes"):
        wait_for(reason, lambda: refused(reason))
    for name, reason in (("absent", "no such file"), ("outside", "files.allow")):
        check(reason in host.cli("connector", "check", name, "-w", WS, code=7).errors, f"{name} is tried")
    equal(len(host.cli_json("connector", "check", "mixed", "-w", WS, code=9)["rows"]), 2, "rows that a trial shows")
    (folder / "later.csv").write_text(HEADER + lines(range(3000, 3010)))
    streams.wait_stored(host, "keyed", range(3000, 3010))
    grows(host, folder / "grows.csv")


def grows(host, path):
    """A slow writer, kills, a rotation, and a file that is removed and written anew."""
    for n, piece in enumerate((line(100)[:5], line(100)[5:-1], "\n")):
        append(path, piece)
        if n < 2:
            host.kill()
            host.start()
    streams.all_once(host, "appended", range(101))
    append(path, lines(range(101, 200)))
    path.rename(path.with_suffix(".csv.1"))
    path.write_text(HEADER + lines(range(200, 300)))
    streams.all_once(host, "appended", range(300))
    path.unlink()
    wait_state(host, "grows", "ok")
    path.write_text(HEADER + lines(range(300, 310)))
    streams.all_once(host, "appended", range(310))
    equal(state(host, "grows"), ("ok", ""), "its state")


harness.main(faults)
