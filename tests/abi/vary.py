"""Writes another version of penstock/plugin.h: `longer`, where every struct that may grow has two more fields at its end,
or `moved`, where two fields of one struct have changed places.

    vary.py longer|moved HEADER OUT
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent


def longer(text):
    grows = re.findall(r"^GROWS\((\w+), (?!FINAL)", (HERE / "growth.def").read_text(), re.M)
    for name in grows:
        text, n = re.subn(rf"(struct {name} \{{.*?)(\n\}})", r"\1\n    uint64_t grown;\n    void (*grown_call)(void);\2", text,
                          count=1, flags=re.S)
        assert n == 1, name
    return text


def moved(text):
    old = "    int32_t vendor_code;"
    assert text.count(old) == 1
    return text.replace(old, "    uint32_t moved;\n" + old)


def main():
    kind, header, out = sys.argv[1:4]
    made = {"longer": longer, "moved": moved}[kind](pathlib.Path(header).read_text())
    pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(out).write_text(made)


if __name__ == "__main__":
    main()
