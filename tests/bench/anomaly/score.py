#!/usr/bin/env python3
"""Scores the anomaly model on SKAB and NAB through `penstock model run`.

    tests/bench/anomaly/score.py PENSTOCK [--data DIR] [--only skab|nab] [--config JSON] [--jobs N]

PENSTOCK is the program; DIR holds skab/ and nab/ (default $PENSTOCK_TESTDATA/anomaly). Every series is learnt from its
first rows and then streamed row by row; the rules are those of the benchmarks:

SKAB  rows 1-400 of each file are learnt, the rest is judged; all rows of all files in one confusion matrix.
NAB   the first min(15 %, 750) rows are learnt. A label window counts once, by its earliest detection; every other
      detection costs. Shown with the model's own decision (score >= 0.5, nothing chosen on the data) and, as the
      published results are, with the one threshold that suits all series best.
"""
import argparse
import concurrent.futures
import csv
import glob
import json
import math
import os
import subprocess
import sys
import time

PLUGIN = "org.penstock.model.anomaly"
SKAB_COLUMNS = ["Accelerometer1RMS", "Accelerometer2RMS", "Current", "Pressure", "Temperature", "Thermocouple",
                "Voltage", "Volume Flow RateRMS"]
PROFILES = {"standard": (1.0, 0.11, 1.0), "low FP": (1.0, 0.22, 1.0), "low FN": (1.0, 0.11, 2.0)}


def run_model(options, path, time_column, columns, train_rows, separator=","):
    """The model's (score, decision) for each data row; None where it gives none."""
    command = [options.program, "model", "run", PLUGIN, "--csv", path, "--sep", separator, "--time", time_column,
               "--columns", ",".join(columns), "--train-rows", str(train_rows), "-o", "csv"]
    if options.config:
        command += ["--config", options.config]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: exit %d\n%s" % (" ".join(command), done.returncode, done.stderr))
    out = []
    for row in csv.DictReader(done.stdout.splitlines()):
        out.append((float(row["score"]), row["anomaly"] in ("1", "true")) if row["score"] else None)
    return out


def read_rows(path, separator=","):
    with open(path, newline="") as f:
        return list(csv.DictReader(f, delimiter=separator))


def in_parallel(options, work, items):
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(work, items))


# ---- SKAB

def skab_file(options, path):
    labels = [float(r["anomaly"]) > 0.5 for r in read_rows(path, ";")]
    answers = run_model(options, path, "datetime", SKAB_COLUMNS, 400, ";")
    assert len(answers) == len(labels), path
    counts = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    for label, answer in zip(labels[400:], answers[400:]):
        found = answer is not None and answer[1]
        counts[("tp" if found else "fn") if label else ("fp" if found else "tn")] += 1
    return counts


def skab_figures(counts):
    tp, fp, fn, tn = (sum(c[k] for c in counts) for k in ("tp", "fp", "fn", "tn"))
    return 2 * tp / (2 * tp + fp + fn), 100 * fp / (fp + tn), 100 * fn / (fn + tp)


def skab(options):
    folder = os.path.join(options.data, "skab")
    paths = sorted(p for part in ("valve1", "valve2", "other") for p in glob.glob(os.path.join(folder, part, "*.csv")))
    began = time.time()
    counts = in_parallel(options, lambda p: skab_file(options, p), paths)
    for path, c in zip(paths, counts):
        print("  %-20s tp %4d  fp %4d  fn %4d  tn %4d" % (os.path.relpath(path, folder), c["tp"], c["fp"], c["fn"], c["tn"]))
    print("SKAB, %d files: F1 %.3f  FAR %.1f %%  MAR %.1f %%  (%.0f s)" % ((len(paths),) + skab_figures(counts) +
                                                                          (time.time() - began,)))


# ---- NAB

def sigmoid(y):
    return 2 / (1 + math.exp(5 * y)) - 1


class Series:
    """A series with its scores and, for each row, what a detection there is worth."""

    def __init__(self, options, name, windows):
        path = os.path.join(options.data, "nab", "data", name)
        stamps = [r["timestamp"] for r in read_rows(path)]
        self.name = name
        self.train = min(int(0.15 * len(stamps)), 750)
        answers = run_model(options, path, "timestamp", ["value"], self.train)
        assert len(answers) == len(stamps), path
        self.scores = [a[0] if a else 0.0 for a in answers]
        self.windows = []
        for first, last in windows:
            inside = [i for i, t in enumerate(stamps) if first[:19] <= t <= last[:19]]
            self.windows.append((inside[0], inside[-1]))
        self.costs = [self.false_cost(i) for i in range(len(stamps))]

    def false_cost(self, i):
        """What a detection at row i costs, 0 … 1; None inside a window or while learning."""
        if i < self.train or any(a <= i <= b for a, b in self.windows):
            return None
        before = [(a, b) for a, b in self.windows if b < i]
        if not before:
            return 1.0
        first, last = before[-1]
        y = (i - last) / max(last - first, 1)
        return 1.0 if y > 3 else -sigmoid(y)

    def events(self):
        """(threshold at which it happens, hit's change, false cost's change) for the sweep over thresholds."""
        for i, cost in enumerate(self.costs):
            if cost is not None:
                yield self.scores[i], 0.0, cost, 0
        for first, last in self.windows:
            best = -1.0
            held = 0.0
            steps = []
            for i in range(max(first, self.train), last + 1):
                if self.scores[i] > best:
                    best = self.scores[i]
                    steps.append((best, sigmoid(-(last - i + 1) / (last - first + 1)) / sigmoid(-1)))
            for threshold, worth in reversed(steps):  # from the highest score down, each earlier and worth more
                yield threshold, worth - held, 0.0, 0 if held else 1
                held = worth


def nab_scores(series, threshold=None):
    """The three profiles, at the threshold or at the one that is best for each profile, and that threshold."""
    events = sorted((e for s in series for e in s.events()), key=lambda e: -e[0])
    windows = sum(len(s.windows) for s in series)
    out = {}
    for profile, (a_tp, a_fp, a_fn) in PROFILES.items():
        null, perfect = -a_fn * windows, a_tp * windows
        total, best, best_at = null, null, 1.0
        for i, (at, hit, cost, found) in enumerate(events):
            if threshold is not None and at < threshold:
                break
            total += a_tp * hit - a_fp * cost + a_fn * found
            whole = i + 1 == len(events) or events[i + 1][0] < at
            if whole and (total > best or threshold is not None):
                best, best_at = total, at
        if threshold is not None:
            best, best_at = total, threshold
        out[profile] = (100 * (best - null) / (perfect - null), best_at)
    return out


def nab(options):
    with open(os.path.join(options.data, "nab", "labels", "windows.json")) as f:
        labels = json.load(f)
    names = sorted(n for n in labels if os.path.exists(os.path.join(options.data, "nab", "data", n)))
    began = time.time()
    series = in_parallel(options, lambda n: Series(options, n, labels[n]), names)
    took = time.time() - began
    for s in series:
        one = nab_scores([s], 0.5)["standard"][0] if s.windows else float("nan")
        false = sum(1 for i, c in enumerate(s.costs) if c is not None and s.scores[i] >= 0.5)
        print("  %-58s windows %d  standard %6.1f  false %3d" % (s.name, len(s.windows), one, false))
    for title, threshold in (("decision of the model", 0.5), ("best threshold", None)):
        figures = nab_scores(series, threshold)
        print("NAB, %d series, %s: %s" % (len(series), title, "  ".join(
            "%s %.1f (at %.3f)" % (p, v, at) for p, (v, at) in figures.items())))
    print("  (%.0f s)" % took)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--data", default=os.path.join(os.environ.get("PENSTOCK_TESTDATA", "../shared/data"), "anomaly"))
    parser.add_argument("--only", choices=("skab", "nab"))
    parser.add_argument("--config", help="the model's config as JSON")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.only != "nab":
        skab(options)
    if options.only != "skab":
        nab(options)


if __name__ == "__main__":
    main()
