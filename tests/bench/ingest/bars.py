"""The goals, each a ratio or a figure of one round, and how they are printed: median, range, goal, met or missed."""
import statistics

import harness


def speed(what, of):
    return lambda r: r[what]["rows_s"] / r[of]["rows_s"]


def cpu(what):
    """Microseconds a row of everything that works on it but an HTTP client."""
    own = ("host_us", "server_us") if what in ("stored", "journal", "lines") else ("server_us", "client_us")
    return lambda r: sum(r[what][part] for part in own)


def cpu_ratio(what, of):
    return lambda r: cpu(what)(r) / cpu(of)(r)


def field(what, name):
    return lambda r: r[what][name]


def field_ratio(what, of, name):
    return lambda r: r[what][name] / r[of][name]


class Bar:
    """`figure(round)` of one round's results; `goal` None: printed only. A bar with several ways to be met names the
    others in `or_else`."""

    def __init__(self, title, figure, goal=None, least=True, unit=""):
        self.title, self.figure, self.goal, self.least, self.unit = title, figure, goal, least, unit
        self.values = []

    def take(self, rounds):
        self.values = [self.figure(r) for r in rounds]
        return self

    def met(self):
        middle = statistics.median(self.values)
        return self.goal is None or (middle >= self.goal if self.least else middle <= self.goal)

    def line(self):
        middle = statistics.median(self.values)
        goal = "" if self.goal is None else f"  goal {'>=' if self.least else '<='} {self.goal:g}"
        verdict = "" if self.goal is None else "  met" if self.met() else "  MISSED"
        return (f"{self.title:<74} {middle:8.2f}{self.unit} [{min(self.values):.2f}..{max(self.values):.2f}]"
                f" n={len(self.values)}{goal}{verdict}")


class Report:
    """Prints each group when it is measured, and all bars again at the end."""

    def __init__(self):
        self.bars = []

    def group(self, title, rounds, bars):
        harness.say(f"--- {title}")
        for what in rounds[0]:
            harness.say("    " + self.variant(what, [r[what] for r in rounds]))
        for bar in bars:
            self.add(bar.take(rounds))

    def add(self, bar):
        self.bars.append(bar)
        harness.say("  " + bar.line())

    @staticmethod
    def variant(what, runs):
        middle = statistics.median
        speeds = [r["rows_s"] for r in runs]
        parts = " ".join(f"{name} {middle(r[key] for r in runs):.2f}" for name, key in
                         (("host", "host_us"), ("postgres", "server_us"), ("client", "client_us")))
        drained = max(r["drained_s"] for r in runs)
        return (f"{what:<8} {middle(speeds) / 1e3:8.1f} k rows/s [{min(speeds) / 1e3:.1f}..{max(speeds) / 1e3:.1f}]"
                f"  p50 {middle(r['p50_ms'] for r in runs):.2f} p99 {middle(r['p99_ms'] for r in runs):.2f} ms"
                f"  CPU us/row: {parts}" + (f"  backlog gone after {drained:.2f} s" if what == "journal" else ""))

    def finish(self):
        harness.say("=== bars")
        for bar in self.bars:
            harness.say(bar.line())
        missed = [bar.title for bar in self.bars if not bar.met()]
        harness.say(f"=== {len(self.bars)} bars, {len(missed)} missed" + "".join(f"\n    {t}" for t in missed))
