#!/usr/bin/env python3
"""Writes docs/plugins/: one page for each plugin that ships, with its settings as a table, made from its config.schema.json.
`--check` writes nothing and fails if a page is not what it would write. Run it after a schema has changed."""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "plugins"
LIMITS = (("minimum", "at least {}"), ("exclusiveMinimum", "above {}"), ("maximum", "at most {}"), ("minLength", "at least {} long"),
          ("maxLength", "at most {} long"), ("minItems", "at least {} items"), ("maxItems", "at most {} items"), ("format", "format {}"))


def kind_of(schema):
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return kind if isinstance(kind, str) else " or ".join(kind)


def meaning_of(schema):
    parts = [schema.get("title", ""), schema.get("description", "")]
    parts.append(", ".join(words.format(schema[key]) for key, words in LIMITS if key in schema))
    parts.append("e.g. " + ", ".join(f"`{json.dumps(e)}`" for e in schema["examples"]) if "examples" in schema else "")
    return ". ".join(p.rstrip(".") for p in parts if p).replace("|", "\\|")


def settings_of(schema, before=""):
    for name, one in schema.get("properties", {}).items():
        must = name in schema.get("required", [])
        default = "required" if must else f"`{json.dumps(one['default'])}`" if "default" in one else ""
        yield f"| `{before}{name}` | {kind_of(one)} | {default} | {meaning_of(one)} |"
        yield from settings_of(one, f"{before}{name}.")


def page_of(folder):
    schema = json.loads((folder / "config.schema.json").read_text())
    title = (folder / "README.md").read_text().splitlines()[0]
    rows = list(settings_of(schema))
    table = ["| setting | type | default | meaning |", "|---|---|---|---|", *rows] if rows else ["It has no settings."]
    return "\n".join([title, "", f"What it does and how: [its README](../../plugins/{folder.parent.name}/{folder.name}/README.md).",
                      "", "## Settings", *table, ""])


def pages():
    found = sorted(p.parent for p in (ROOT / "plugins").glob("*/*/config.schema.json"))
    index = ["# Plugins", "", "To write one: [a connector in ten minutes](tutorial.md), [what a plugin may expect](abi.md),",
             "`penstock help plugin`, `man penstock-check`.", "",
             "To put a new version in its place while everything runs: [replacing a plugin](replacing.md).", "", "## Those that ship", "",
             "Made by `cmake/plugin_pages.py` from the schemas beside the sources.", ""]
    for folder in found:
        name = f"{folder.parent.name}-{folder.name}.md"
        page = page_of(folder)
        index.append(f"- [{page.splitlines()[0].removeprefix('# ')}]({name})")
        yield PAGES / name, page
    yield PAGES / "README.md", "\n".join([*index, ""])


def main():
    stale = [path for path, page in pages() if not path.exists() or path.read_text() != page]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what cmake/plugin_pages.py writes; run it")
        return 1 if stale else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for path, page in pages():
        path.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
