"""What the kernel says about the host under measurement: CPU seconds of the host and of PostgreSQL, anonymous memory."""
import os

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()


def cpu_seconds(pid, with_children=False):
    return sum(int(f) for f in _stat(pid)[11:15 if with_children else 13]) / TICKS


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(p) for p in file.read().split()]


def postgres_seconds(postmaster):
    total = cpu_seconds(postmaster, with_children=True)
    for pid in children(postmaster):
        try:
            total += cpu_seconds(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass  # ended meanwhile: counted by its parent the next time
    return total


def postgres_parts(postmaster):
    """The same by who took it: sessions of the service, which stay (the writers); sessions of workspaces and whatever came and
    went (they do, and so do autovacuum's workers); the rest."""
    parts = {"service": 0.0, "passing": cpu_seconds(postmaster, with_children=True) - cpu_seconds(postmaster),
             "rest": cpu_seconds(postmaster)}
    for pid in children(postmaster):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                words = file.read()
            whose = "passing" if "_wid" in words or "worker" in words else "service" if "[local]" in words else "rest"
            parts[whose] += cpu_seconds(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return parts


def _name(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def _anonymous_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


def own_processes(pid):
    """The host and the helpers that it forked (nursery, broker); not its cells, not PostgreSQL."""
    found = [pid]
    for parent in found:
        for child in [c for t in os.listdir(f"/proc/{parent}/task") for c in _thread_children(parent, t)]:
            if child not in found and _name(child) not in ("postgres", "penstock-cell"):
                found.append(child)
    return found


def _thread_children(pid, thread):
    try:
        with open(f"/proc/{pid}/task/{thread}/children") as file:
            return [int(p) for p in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def anonymous_mib(pid):
    """RssAnon of the host and its helpers."""
    return sum(_anonymous_kib(p) for p in own_processes(pid)) / 1024
