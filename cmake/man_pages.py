#!/usr/bin/env python3
"""Writes docs/man/penstock-plugin.7 from docs/plugins/abi.md, so that the reference is there without a browser. `--check` writes
nothing and fails if it is not current. Knows the little Markdown that the page uses."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE, TARGET = ROOT / "docs/plugins/abi.md", ROOT / "docs/man/penstock-plugin.7"
HEAD = """.\\" Made by cmake/man_pages.py from docs/plugins/abi.md.
.TH PENSTOCK\\-PLUGIN 7 "" "Penstock" "Plugins"
.SH NAME
penstock\\-plugin \\- what a Penstock plugin may expect, and what is expected of it
.SH DESCRIPTION
"""
RULE = re.compile(r"^\|[-|]+\|$")
TAIL = """.SH SEE ALSO
.BR penstock\\-check (1),
.BR penstock (1)
"""


def plain(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def inline(text):
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(`[^`]*`|\*\*[^*]*\*\*|\*[^*]*\*)", text)
    return "".join(f"\\fB{plain(p.strip('`*'))}\\fR" if p[:1] in "`*" and p else plain(p) for p in parts)


def row(line):
    left, right = (line.strip().strip("|").split("|", 1) + [""])[:2]
    return f".TP\n{inline(left.strip())}\n{inline(right.strip())}"


def convert(lines):
    code = False
    for line, after in zip(lines, lines[1:] + [""]):
        if line.startswith("```"):
            code = not code
            yield ".PP\n.nf\n.RS 2" if code else ".RE\n.fi"
        elif code:
            yield plain(line)
        elif RULE.match(after):
            continue  # the heading of a table
        elif line.startswith(("# ", "<!--")) or RULE.match(line) or line.strip("| ") == "":
            yield ".PP" if not line else ""
        elif line.startswith("### "):
            yield ".SS " + inline(line[4:]).replace('"', "")
        elif line.startswith("## "):
            yield ".SH " + inline(line[3:]).upper()
        elif line.startswith("|"):
            yield row(line)
        elif line.startswith("- "):
            yield ".IP \\(bu 2\n" + inline(line[2:])
        else:
            yield inline(line.strip())


def main():
    body = "\n".join(filter(None, convert(SOURCE.read_text().splitlines())))
    page = HEAD + re.sub(r"(\.PP\n)+(?=\.(SH|SS|PP|TP|IP))", "", body + "\n") + TAIL
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text() == page:
            return 0
        print(f"{TARGET.relative_to(ROOT)} is not what cmake/man_pages.py writes; run it")
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
