"""The documents say what is there: links lead somewhere, every page is listed, the tests that docs/guarantees.md and
docs/faults.md name exist, the pages of the plugins are those that their schemas give, and the ABI reference and its manual
page those that the headers give."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TEST = re.compile(r"`(unit|flow|fault)/([a-z0-9_/]+)`((?:: )?(?:`[a-z0-9_]+`(?:, )?)*)")


def documents():
    names = subprocess.run(["find", ".", "-path", "./build", "-prune", "-o", "-path", "./.git", "-prune", "-o", "-name", "*.md",
                            "-print"], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    return [ROOT / name for name in names]


def broken_links():
    for path in documents():
        for target in LINK.findall(path.read_text()):
            if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                yield f"{path.relative_to(ROOT)}: there is no {target}"


def unlisted_pages():
    """Pages that docs/README.md, or a README it leads to, does not lead to."""
    listed = set()
    for index in (ROOT / "docs" / "README.md", ROOT / "docs" / "plugins" / "README.md", ROOT / "docs" / "abi" / "README.md"):
        listed |= {(index.parent / target).resolve() for target in LINK.findall(index.read_text())}
    for path in sorted((ROOT / "docs").rglob("*.md")):
        if path.name != "README.md" and path.parent.name != "adr" and path.resolve() not in listed:
            yield f"{path.relative_to(ROOT)}: no list of pages leads to it (docs/README.md)"


def missing_tests(page):
    named = TEST.findall((ROOT / "docs" / page).read_text())
    if not named:
        yield f"docs/{page}: no test is named"
    for kind, noun, functions in named:
        found = [p for p in (ROOT / "tests" / kind).glob(f"{noun}_test.*") if p.suffix in (".c", ".py")]
        if not found:
            yield f"docs/{page}: there is no test {kind}/{noun}"
        for function in re.findall(r"`([a-z0-9_]+)`", functions):
            if found and function not in found[0].read_text():
                yield f"docs/{page}: {kind}/{noun} has no {function}"


bad = [*broken_links(), *unlisted_pages(), *missing_tests("guarantees.md"), *missing_tests("faults.md")]
for line in bad:
    print(line)
scripts = ("plugin_pages.py", "abi_reference.py", "man_pages.py")
stale = [subprocess.run([sys.executable, "-B", str(ROOT / "cmake" / script), "--check"], check=False).returncode for script in scripts]
sys.exit(1 if bad or any(stale) else 0)
