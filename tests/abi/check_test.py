"""penstock-check: our own plugins keep the contract; each case finds the plugin that is wrong in just that; quirks."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD, SOURCE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
CHECK = BUILD / "sdk/check/penstock-check"
DEFECTS = BUILD / "tests/defects"
os.environ["PATH"] = f"{BUILD / 'tests/flow'}:{os.environ['PATH']}"  # far sides that are programs
OWN = sorted(str(p.parent.relative_to(SOURCE / "plugins")) for p in (SOURCE / "plugins").glob("*/*/config.schema.json"))
# case: the plugin that must fail it
WRONG = {name: name.replace("-", "_") for name in (
    "links", "starts-nothing", "probe", "schema", "examples", "wrong-config", "half-built", "old-host", "new-host", "unknown-names",
    "cancel", "deadline", "secrets", "batches", "replay", "acked", "skip", "again", "not-taken", "same-output", "any-order", "cell")}
METRIC = {"input": "rows.ndjson", "order": "any"}
SINK = {"input": "rows.ndjson", "far_side": "lines", "config": {"host": "{host}", "port": "{port}"}}


def check(plugin, *flags, expect):
    done = subprocess.run([CHECK, plugin, "--report", "json", *flags], stdout=subprocess.PIPE, check=False, text=True, timeout=250)
    if done.returncode != expect:
        raise SystemExit(f"{plugin.name} {flags}: exit code {done.returncode}, not {expect}\n{done.stdout}")
    return json.loads(done.stdout)


def project(folder, settings, **files):
    folder = pathlib.Path(folder)
    (folder / "check.json").write_text(json.dumps(settings))
    rows = [{"x": x} | ({"_seq": seq} if "far_side" in settings else {}) for seq, x in enumerate((1.5, 2, -7, 4), 1)]
    (folder / "rows.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return ("--project", str(folder))


def own_plugins():
    assert len(OWN) >= 6, OWN
    for name in OWN:
        assert (SOURCE / "plugins" / name / "check.json").exists(), f"plugins/{name} has no check.json"
        said = check(BUILD / f"plugins/{name}.so", "--project", str(SOURCE / "plugins" / name), expect=0)
        print(f"{name}: {said['passed']} passed, {said['skipped']} skipped", flush=True)


def one_defect(case, plugin, where):
    found = check(DEFECTS / f"defect_{plugin}.so", "--case", case, *where, expect=1)["cases"]
    if len(found) != 1 or found[0]["outcome"] != "failed" or not found[0]["why"] or not found[0]["hint"]:
        raise SystemExit(f"{case}: {found}")
    print(f"{case}: {found[0]['why'].strip()} | {found[0].get('where', '')}", flush=True)


def defects():
    with tempfile.TemporaryDirectory() as folder:
        source = project(folder, {"config": {}})
        check(DEFECTS / "defect_none.so", *source, expect=0)
        for case in ("batches", "replay", "acked"):  # with keys that outlive a kill
            assert check(DEFECTS / "defect_state.so", "--case", case, *source, expect=0)["passed"] == 1
        for case, plugin in WRONG.items():
            if case not in ("again", "not-taken", "same-output", "any-order", "cell"):
                one_defect(case, plugin, source)
        for kind in ("heap", "descriptors", "threads"):
            one_defect("create-destroy", kind, source)
        one_defect("half-built", "no_memory", source)
        sink = project(folder, SINK)
        said = check(DEFECTS / "defect_none_sink.so", *sink, expect=0)["cases"]
        assert all(c["outcome"] == "passed" for c in said if c["name"] in ("again", "not-taken", "cell", "cancel")), said
        for case in ("again", "not-taken"):
            one_defect(case, WRONG[case], sink)
        metric = project(folder, METRIC)
        check(DEFECTS / "defect_none_metric.so", *metric, expect=0)
        for case in ("same-output", "any-order", "cell"):
            one_defect(case, WRONG[case], metric)
        one_defect("expected", "none_metric", project(folder, METRIC | {"expected": "expected.ndjson"}, expected_ndjson='{"sum":1}\n'))
    found = check(BUILD / "tests/plugins/two_exports.so", "--case", "exports", expect=1)["cases"]
    assert found[0]["outcome"] == "failed" and "exports" in found[0]["why"], found


def quirks():
    with tempfile.TemporaryDirectory() as folder:
        where = project(folder, {"config": {}}, quirks_json='{"cancel": "the driver cannot be interrupted"}')
        found = check(DEFECTS / "defect_cancel.so", "--case", "cancel", *where, expect=0)["cases"]
        assert found[0]["outcome"] == "quirk" and found[0]["quirk"], found
        found = check(DEFECTS / "defect_none.so", "--case", "cancel", *where, expect=1)["cases"]
        assert found[0]["outcome"] == "unneeded-quirk", found
        project(folder, {"config": {}}, quirks_json='{"cancel": ""}')
        done = subprocess.run([CHECK, DEFECTS / "defect_none.so", *where], stderr=subprocess.PIPE, check=False, text=True)
        assert done.returncode == 2 and "no reason" in done.stderr, done
        project(folder, {"confg": {}}, quirks_json="{}")
        done = subprocess.run([CHECK, DEFECTS / "defect_none.so", *where], stderr=subprocess.PIPE, check=False, text=True)
        assert done.returncode == 2 and "did you mean config?" in done.stderr, done


{"own": own_plugins, "defects": defects, "quirks": quirks}[sys.argv[3]]()
