"""docs/plugins/tutorial.md does what it says: its commands are run as they stand, by somebody who has only what is installed, in a
folder outside the tree. A `text` block behind commands must be found in what they print, line by line; … stands for anything."""
import os
import re
import subprocess

import harness
from harness import BUILD, SOURCE, check, equal

PAGE = SOURCE / "docs/plugins/tutorial.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def install(prefix):
    done = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    equal(done.returncode, 0, "cmake --install\n" + done.stdout[-2000:])


def flags():
    """A library that was built with sanitizers can only be linked with them."""
    cache = (BUILD / "CMakeCache.txt").read_text()
    given = re.search(r"^PENSTOCK_SANITIZE:\w+=(.*)$", cache, re.MULTILINE).group(1).replace(";", ",")
    return f"-fsanitize={given}" if given else ""


def environment(host, prefix, home):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "PYTHON", "CFLAGS"))}
    return kept | {"PATH": f"{prefix}/bin:{os.environ['PATH']}", "HOME": str(home), "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig",
                   "PENSTOCK_CONFIG": str(host.folder / "cli.yaml"), "NO_COLOR": "1", "CFLAGS": flags()}


def run_block(commands, folder, env):
    """Output and the folder in which the block ended."""
    left = folder.parent / "left-in"
    script = f"set -e\n{commands}\npwd > {left}\n"
    done = subprocess.run(["bash", "-c", script], cwd=run_block.at or folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    equal(done.returncode, 0, f"exit code of\n{commands}\n{done.stdout[-3000:]}\n")
    run_block.at = left.read_text().strip()
    return done.stdout


def compare(expected, got):
    for line in expected.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        check(any(re.fullmatch(r"\s*" + pattern.replace(r"\ ", r"\s+") + r"\s*", g) or re.search("^" + pattern, g)
                  for g in got.splitlines()), f"the page says that this is printed: {line}", got[-3000:])


def tutorial():
    root = harness.folder("penstock-tutorial-")
    prefix, clean = root / "installed", root / "clean"
    clean.mkdir()
    install(prefix)
    host = harness.Host().start()
    env = environment(host, prefix, clean)
    run_block.at, said = None, ""
    blocks = BLOCK.findall(PAGE.read_text())
    check(sum(kind == "sh" for kind, _ in blocks) >= 7, "the page has its commands")
    for kind, content in blocks:
        if kind == "sh":
            said = run_block(content, clean, env)
        else:
            compare(content, said)
    rows = host.rows("pier", "datastore:levels")
    check(rows and all(r["station"] == "pier-1" for r in rows), "the tutorial's rows are in its workspace", rows[:3])
    check(not list(clean.glob("core*")), "no core file was left")


harness.main(tutorial)
