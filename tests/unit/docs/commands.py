"""What the documents tell people to type is there: every `penstock …` is a command of the program with these flags, and every
setting that is named stands in the table.
    commands.py SOURCE PENSTOCK"""
import functools
import pathlib
import re
import subprocess
import sys

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), sys.argv[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "plugins").rglob("README.md"))]
SPAN = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s;&|(/])penstock((?: +[^\s#;&|<>()]+(?:\|[a-z]+)*)+)")
WORD = re.compile(r"[a-z][a-z-]*(?:\|[a-z-]+)*$")
SETTING = re.compile(r'^\s*\{"([a-z_.]+)", SETTING_', re.MULTILINE)


@functools.lru_cache(None)
def help_of(*words):
    """The command's help; "" if there is no such command."""
    out = subprocess.run([PROGRAM, *words, "--help"], capture_output=True, text=True, timeout=20, check=False)
    usage = re.search(r"^Usage\n((?:  .*\n)+)", out.stdout, re.MULTILINE)
    return out.stdout if out.returncode == 0 and usage and f"penstock {' '.join(words)}" in usage.group(1) else ""


def wrong(line):
    """What a person who types this line would be told."""
    words = line.split()
    if words[0].startswith("-") or not WORD.match(words[0]):
        return None
    if words[0] == "help":
        return None
    verbs = words[1].split("|") if len(words) > 1 and WORD.match(words[1]) else []
    found = help_of(words[0]) or "".join(help_of(words[0], verb) or f"\0{verb}" for verb in verbs)
    if not verbs and not found:
        return None if nouns().get(words[0]) else f"there is no command {words[0]}"
    if "\0" in found or not found:
        return f"there is no command {words[0]} {' '.join(verbs)}"
    flags = [w.strip("[]").split("=")[0] for w in words if w.strip("[").startswith("--")]
    missing = [f for f in flags if not re.search(rf"(?<![\w-]){re.escape(f)}(?![\w-])", found)]
    return f"{' '.join(words[:2])} has no {missing[0]}" if missing else None


@functools.lru_cache(None)
def nouns():
    text = subprocess.run([PROGRAM, "help"], capture_output=True, text=True, timeout=20, check=False).stdout
    return dict(re.findall(r"^  ([a-z]+) +(.*)$", text, re.MULTILINE))


def commands(text):
    for part in [*SPAN.findall(text), *"\n".join(BLOCK.findall(text)).splitlines()]:
        for found in COMMAND.findall(part):
            yield found.strip()


def unknown_settings(text, table):
    prefixes = {name.split(".")[0] for name in table if "." in name}
    for span in SPAN.findall(text):
        name = re.split(r"[:= ]", span)[0]
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", name) and name.split(".")[0] in prefixes and not (ROOT / "host" / name).exists():
            if not any(known == name or known.startswith(name + ".") for known in table) and not name.endswith((".c", ".h", ".md")):
                yield name


def main():
    table = SETTING.findall((ROOT / "host" / "config" / "settings_table.c").read_text())
    seen, bad = 0, []
    for path in DOCUMENTS:
        text = path.read_text()
        for line in commands(text):
            seen += 1
            if reason := wrong(line):
                bad.append(f"{path.relative_to(ROOT)}: `penstock {line}`: {reason}")
        bad += [f"{path.relative_to(ROOT)}: there is no setting {name}" for name in unknown_settings(text, table)]
    print("\n".join(bad + [f"{seen} commands, {len(table)} settings, {len(bad)} wrong"]))
    sys.exit(1 if bad or seen < 50 or len(table) < 20 else 0)


main()
