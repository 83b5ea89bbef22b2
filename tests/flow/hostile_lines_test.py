"""Every case of the line protocol data, as a client of InfluxDB writes it: as many lines are taken and refused as it says, a bad
line takes no good one with it, and the answer names the bad one."""
import base64
import json

import hostile
from harness import main, testdata

UNKNOWN = "unknown_store"  # a good line whose measurement is no store


def judge(case, answer, wrong):
    points = sum("point" in line for line in case["lines"])
    verdict = answer.json["verdict"] if answer.status == 400 and "verdict" in answer.json else None
    if answer.status == 204:
        if points != len(case["lines"]):
            wrong("every line was taken")
        return
    if not verdict:
        wrong(answer)
        return
    unknown = sum(e["code"] == UNKNOWN for e in verdict["errors"])
    broken = [e for e in verdict["errors"] if e["code"] != UNKNOWN]
    if (verdict["accepted"] + unknown, len(broken)) != (points, len(case["lines"]) - points):
        wrong(f"{points} good lines of {len(case['lines'])}: {verdict}")
    if not all(e["line"] and e["column"] and e["detail"] for e in broken):
        wrong(f"a bad line is not named: {verdict}")


def every_case():
    cases = json.loads(testdata("lineprotocol/cases.json").read_bytes())
    host = hostile.host_with_events()

    def write(body, precision):
        return host.request("POST", f"/api/v2/write?org=o&bucket=w&precision={precision}", body, type="text/plain; charset=utf-8")

    ward = hostile.Ward(host, lambda: write(b"pump pressure=1\n", "ns").status)
    for case in cases:
        with ward.input(f"{case['id']} {case['name']}") as wrong:
            judge(case, write(base64.b64decode(case["input_b64"]), case["precision"]), wrong)
    ward.finish("lineprotocol")


main(every_case)
