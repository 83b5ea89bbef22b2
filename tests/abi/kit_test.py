"""penstock plugin new, build, test, run with the installed SDK, for every kind of plugin, in a folder outside the tree."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

BUILD, SANITIZE = pathlib.Path(sys.argv[1]), sys.argv[2].replace(";", ",")
CLI = BUILD / "cli/penstock"
KINDS = ("connector", "sink", "notifier", "metric", "model")
OF_KIND = {"sink": "connector"}  # what the plugin itself says that it is


class Kit:
    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.at = self.root / "work"
        self.at.mkdir()
        subprocess.run(["cmake", "--install", BUILD, "--component", "dev", "--prefix", self.root / "sdk"], check=True,
                       stdout=subprocess.DEVNULL)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
        self.env |= {"PKG_CONFIG_PATH": str(self.root / "sdk/lib/pkgconfig"), "NO_COLOR": "1",
                     "CFLAGS": f"-fsanitize={SANITIZE}" if SANITIZE else ""}

    def run(self, *words, code=0, **env):
        done = subprocess.run([CLI, "plugin", *map(str, words)], cwd=self.at, env=self.env | env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        assert done.returncode == code, f"plugin {words}: exit code {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        return done

    def begin(self, kind):
        self.run("new", kind, f"my-{kind}", "--folder", kind, "--vendor", "com.acme")
        return self.at / kind


def new_projects(kit):
    for kind in KINDS:
        folder = kit.begin(kind)
        source = folder / f"my_{kind}.c"
        text = source.read_text()
        assert len(text.splitlines()) <= 100, f"{kind}: longer than 100 lines"
        assert f'"com.acme.{kind}.my-{kind}"' in text and "my-thing" not in text and "my_thing" not in text
        assert len((folder / "CMakeLists.txt").read_text().splitlines()) <= 10
        for name in ("README.md", "config.schema.json", "check.json", "test"):
            assert (folder / name).exists(), f"{kind} has no {name}"
        again = kit.run("new", kind, f"my-{kind}", "--folder", kind, code=6)
        assert "not empty" in again.stderr and source.read_text() == text
    wrong = kit.run("new", "conector", "x", code=2)
    assert "did you mean connector?" in wrong.stderr
    for name in ("Tide", "a--b", "-x", "a" * 41, "../up", "a_b", ""):
        kit.run("new", "model", name, code=2)
    kit.run("new", "model", "x", "--vendor", "acme", code=2)
    assert sorted(p.name for p in kit.at.iterdir()) == sorted(KINDS)


def build_and_test(kit):
    for kind in KINDS:
        folder = kit.begin(kind)
        if kind == "metric":  # installed_sdk.sh builds all of them by CMake
            assert kit.run("build", kind).stdout == f"{folder}/build/my-{kind}.so\n"
            said = kit.run("test", kind).stdout
            assert re.search(r"^ok .* expected ", said, re.M) and " 0 failed" in said, said
            shutil.rmtree(folder / "build")
        (folder / "CMakeLists.txt").unlink()
        assert kit.run("build", kind).stdout == f"{folder}/build/{kind}.so\n"
        report = json.loads(kit.run("test", kind, "--report", "json").stdout)
        assert report["ok"] and report["kind"] == OF_KIND.get(kind, kind) and report["id"] == f"com.acme.{kind}.my-{kind}", report
        broken_test(kit, kind, folder)
    build_failures(kit)


def broken_test(kit, kind, folder):
    expected = next((folder / "test").glob("expected.*"))
    right = expected.read_text()
    expected.write_text("{\"something\": \"else\"}\n" + right)
    said = kit.run("test", kind, "--case", "expected", code=1).stdout
    assert re.search(r"^    - \{\"something\"", said, re.M) and re.search(r"^    \+ ", said, re.M), said
    assert "where: test/expected" in said and "try: " in said
    kit.run("test", kind, "--case", "expected", "--write")
    assert expected.read_text() == right


def build_failures(kit):
    folder, empty = kit.at / "metric", kit.root / "empty"
    empty.mkdir()
    said = kit.run("build", "metric", code=4, PKG_CONFIG_PATH="")
    assert "the SDK is not installed" in said.stderr and "penstock-dev" in said.stderr
    os.symlink(shutil.which("pkg-config"), empty / "pkg-config")
    said = kit.run("build", "metric", code=4, PATH=str(empty))
    assert "there is no cc" in said.stderr and "C compiler" in said.stderr, said.stderr
    (folder / "my_metric.c").write_text("int broken(void) { return 1 }\n")
    said = kit.run("build", "metric", code=7)
    assert "error:" in said.stderr and "the plugin was not built" in said.stderr
    kit.run("build", "nowhere", code=4)


def runs(kit):
    for kind in KINDS:
        kit.begin(kind)
        kit.run("build", kind)
    (kit.at / "c.yaml").write_text("station: harbour\nevery_ms: 20\n")
    out = kit.run("run", "connector/build/my-connector.so", "--config", "c.yaml", "--rows", "4")
    rows = [json.loads(line) for line in out.stdout.splitlines()]
    assert len(rows) == 4 and {r["station"] for r in rows} == {"harbour"} and "4 rows" in out.stderr
    (kit.at / "c.yaml").write_text("station: harbour\nevery_ms: soon\n")
    out = kit.run("run", "connector/build/my-connector.so", "--config", "c.yaml", code=7)
    assert "c.yaml:2:11" in out.stderr, out.stderr
    out = kit.run("run", "metric/build/my-metric.so", "--definition", "{column: pressure, above: 5.5}", "--input",
                  "metric/test/input.ndjson")
    assert out.stdout == (kit.at / "metric/test/expected.ndjson").read_text()
    kit.run("run", "metric/build/my-metric.so", "--definition", "{column: pressure}", "--input", "metric/test/input.ndjson", code=7)
    out = kit.run("run", "model/build/my-model.so", "--config", "{column: pressure}", "--train", "model/test/train.ndjson", "--input",
                  "model/test/input.ndjson")
    assert out.stdout == (kit.at / "model/test/expected.ndjson").read_text() and 'learnt: {"mean":5' in out.stderr
    kit.run("run", "no-such.so", code=4)
    notifier_runs(kit)


class Line(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.told.append(self.rfile.readline().decode())
        self.wfile.write(b"ok\n")


def notifier_runs(kit):
    with socketserver.TCPServer(("127.0.0.1", 0), Line) as far:
        far.told = []
        threading.Thread(target=far.serve_forever, daemon=True).start()
        config = f"{{host: 127.0.0.1, port: {far.server_address[1]}}}"
        out = kit.run("run", "notifier/build/my-notifier.so", "--config", config, "--networks", "127.0.0.0/8", "--message",
                      "{title: Pump 2, text: too hot, severity: critical, delivery_id: d-7}")
        far.shutdown()
    assert json.loads(out.stdout)["state"] == "done"
    assert far.told == ["critical d-7 Pump 2: too hot\n"], far.told
    kit.run("run", "notifier/build/my-notifier.so", "--config", config, "--networks", "127.0.0.0/8", code=8)


def read_until(fd, wanted, seconds=40):
    said, end = "", time.monotonic() + seconds
    while wanted not in said:
        left = end - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise AssertionError(f"gdb did not say {wanted!r}:\n{said}")
        try:
            said += os.read(fd, 4096).decode("utf-8", "replace")
        except OSError as gone:
            raise AssertionError(f"it ended before it said {wanted!r}:\n{said}") from gone
    return said


def debugs(kit):
    """gdb stops in the plugin's own function, in its cell."""
    kit.begin("model")
    kit.run("build", "model")
    out = kit.run("run", "--gdb", "model/build/my-model.so", "--config", "{column: pressure}", "--input", "model/test/input.ndjson")
    assert "the cell is process" in out.stderr  # nobody sits there: it names the process and goes on
    if not shutil.which("gdb"):
        print("gdb is not installed: not attached")
        return
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(kit.at)
        os.execve(CLI, [str(CLI), "plugin", "run", "--gdb", "model/build/my-model.so", "--config", "{column: pressure}", "--input",
                        "model/test/input.ndjson"], kit.env | {"TERM": "dumb", "DEBUGINFOD_URLS": ""})
    said = read_until(fd, "(gdb) ")
    if "ptrace:" in said:
        print("this machine does not let gdb attach")
        os.write(fd, b"quit\n")
    else:
        os.write(fd, b"set pagination off\nset confirm off\nbreak on_infer\ncontinue\n")
        read_until(fd, "on_infer (self=")
        os.write(fd, b"delete\ndetach\nquit\n")
        read_until(fd, '"anomaly":')
    try:
        while os.read(fd, 4096):
            pass
    except OSError:
        pass  # the terminal is closed
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 or "ptrace:" in said


with tempfile.TemporaryDirectory() as top:
    {"new": new_projects, "build": build_and_test, "run": runs, "debug": debugs}[sys.argv[3]](Kit(top))
