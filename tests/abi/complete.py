"""Every struct of penstock/plugin.h, and every field of it, stands in structs.def in the header's order; every struct
that begins with struct_size has a case in the growth tests (growth.def)."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parents[1] / "sdk" / "include" / "penstock" / "plugin.h"


def fields_of(body):
    for declaration in filter(None, (d.strip() for d in body.split(";"))):
        function = re.search(r"\(\*(\w+)\)\(", declaration)
        if function:
            yield function.group(1)
            continue
        for part in declaration.split(","):
            yield re.findall(r"\w+", re.sub(r"\[.*?\]", "", part))[-1]


def structs_of(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = re.finditer(r"(?:typedef )?struct (\w+) \{(.*?)\n\}( \w+)?;", text, re.S)
    return {m.group(1): list(fields_of(m.group(2))) for m in found}


def listed(text):
    out = {}
    for kind, name, field in re.findall(r"^(STRUCT|FIELD)\((\w+)(?:, (\w+))?\)", text, re.M):
        out.setdefault(name, []) if kind == "STRUCT" else out[name].append(field)
    return out


def main():
    header, table = structs_of(HEADER.read_text()), listed((HERE / "structs.def").read_text())
    wrong = [f"{name}: the header has {header.get(name)}, structs.def {table.get(name)}"
             for name in sorted(header.keys() | table.keys()) if header.get(name) != table.get(name)]
    sized = {name for name, fields in header.items() if fields[0] == "struct_size"}
    grown = set(re.findall(r"^GROWS\((\w+)", (HERE / "growth.def").read_text(), re.M))
    wrong += [f"{name} begins with struct_size and has no case in growth.def" for name in sorted(sized - grown)]
    wrong += [f"{name} stands in growth.def and does not begin with struct_size" for name in sorted(grown - sized)]
    print(f"{len(header)} structs, {len(sized)} of them may grow")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
