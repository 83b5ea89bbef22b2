#!/usr/bin/env python3
"""Keeps the generated parts of docs/plugins/abi.md: statuses, interfaces and services from the header, cases from penstock-check's
table. `--check` writes nothing and fails if the page is not what it would write."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/plugins/abi.md"
HEADER = (ROOT / "sdk/include/penstock/plugin.h").read_text()
CASES = (ROOT / "sdk/check/cases.c").read_text()
KINDS = {"connector": "Connector", "notifier": "Notifier", "metric": "Metric engine", "model": "Model", "check": "Any kind"}


def status():
    yield "| status | |"
    yield "|---|---|"
    block = HEADER[HEADER.index("enum {\n    PST_OK"):]
    for name, value, comment in re.findall(r"(PST_\w+) = (-?\d+),? *(?:/\* (.*?) \*/)?\n", block[:block.index("};")]):
        yield f"| `{name}` ({value}) | {comment} |"


def cases():
    """Names and what they say; texts of a row may go over several lines."""
    yield "| case | holds when |"
    yield "|---|---|"
    for name, says in re.findall(r'\{"([a-z-]+)",\s*((?:"[^"]*"\s*)+),', CASES):
        yield f"| `{name}` | {''.join(re.findall(chr(34) + '([^' + chr(34) + ']*)' + chr(34), says))} |"


def struct_before(start):
    """The code from a #define to the end of the struct whose functions it names: the last `} pst_…;` before the next blank line
    at the left margin that follows a struct with functions."""
    rest = HEADER[start:]
    return rest[:re.search(r"^\} pst_\w+;$\n(?=\n)", rest, re.MULTILINE).end()]


def told(prefix):
    for found in re.finditer(rf'((?:^/\*(?:[^*]|\*(?!/))*\*/\n)?)^#define {prefix}\w+ "([^"]+)"\n', HEADER, re.MULTILINE):
        code = struct_before(found.end())
        yield found.group(2), found.group(1), code.rstrip()


def section(prefix):
    for name, comment, code in told(prefix):
        kind = KINDS.get(name.split(".")[1].split("/")[0], "")
        yield f"### `{name}`" + (f" ({kind.lower()})" if prefix == "PST_IF_" and kind else "")
        yield ""
        yield "```c"
        yield (comment + code).rstrip()
        yield "```"
        yield ""


PARTS = {"status": status, "cases": cases, "interfaces": lambda: section("PST_IF_"), "services": lambda: section("PST_SERVICE_")}


def page_now(page):
    for name, lines in PARTS.items():
        text = "\n".join(lines()).strip()
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        at = page.index(begin) + len(begin)
        page = page[:at] + "\n" + text + "\n\n" + page[page.index(end, at):]
    return page


def main():
    page = PAGE.read_text()
    if "--check" in sys.argv[1:]:
        if page_now(page) == page:
            return 0
        print(f"{PAGE.relative_to(ROOT)} is not what cmake/abi_reference.py writes; run it")
        return 1
    PAGE.write_text(page_now(page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
