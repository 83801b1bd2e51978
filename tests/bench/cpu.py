"""CPU time and memory of whole process trees, as the operating system counts them."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped]  # ships no types


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process and all its descendants, ended ones included, have used."""
    return sum(_used(process) for process in _tree(pid))


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process and its living descendants, in MB."""
    total = 0
    for process in _tree(pid):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / 1e6


@dataclass
class CpuMeter:
    """Measures what named groups of process trees use between two moments, and what strangers use."""

    pids: Mapping[str, Iterable[int]]
    _begun: dict[str, float] = field(default_factory=dict)
    _machine: float = 0.0
    _ours: float = 0.0
    _at: float = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._machine, self._ours, self._at = _busy_seconds(), cpu_seconds(os.getpid()), time.monotonic()
        self._begun = self._now()

    def used(self) -> dict[str, float]:
        """Return CPU seconds since the start, by name."""
        return {name: used - self._begun[name] for name, used in self._now().items()}

    def strangers(self) -> float:
        """Return which share of the machine's CPU has gone to processes that are none of the benchmark's."""
        others = (_busy_seconds() - self._machine) - (cpu_seconds(os.getpid()) - self._ours)
        return max(0.0, others) / ((time.monotonic() - self._at) * (os.cpu_count() or 1))

    def _now(self) -> dict[str, float]:
        return {name: sum(cpu_seconds(pid) for pid in pids) for name, pids in self.pids.items()}


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    # A parent has on its account what its children had used when they ended.
    return float(times.user + times.system + times.children_user + times.children_system)
