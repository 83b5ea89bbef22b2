"""What processes use, from /proc: processor time of a process, of a whole PostgreSQL; memory that nobody else holds."""
import os
import pathlib

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid, with_children=False):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(int(f) for f in fields[11:15 if with_children else 13]) / TICKS


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(p) for p in file.read().split()]


def postgres_seconds(postmaster):
    """Of the postmaster, of those of its processes that run, and of those that have ended."""
    total = cpu_seconds(postmaster, with_children=True)
    for pid in children(postmaster):
        try:
            total += cpu_seconds(pid)
        except FileNotFoundError:
            pass  # ended meanwhile: counted by its parent the next time
    return total


def weight_kib(pid):
    """Pss_Anon and Pss_Shmem."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    values = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return values.get("Pss_Anon:", 0), values.get("Pss_Shmem:", 0)
