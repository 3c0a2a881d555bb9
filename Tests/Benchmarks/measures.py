"""What a row yields: samples of both sides, their medians, and whether the ratio reaches its bound."""

import time
from dataclasses import asdict, dataclass
from statistics import median


@dataclass
class Measure:
    """One figure of a row. `at_least` tells the direction of `bound`; without a bound it only informs."""

    work: str
    unit: str
    ours: list
    theirs: list
    bound: float | None = None
    at_least: bool = False
    limit: float | None = None  # absolute, on our side, at most

    @property
    def ratio(self):
        theirs = median(self.theirs) if self.theirs else 0
        return median(self.ours) / theirs if theirs else None

    @property
    def reach(self):
        parts = []
        if self.bound is not None:
            parts.append(f"{'≥' if self.at_least else '≤'} {self.bound} ×")
        if self.limit is not None:
            parts.append(f"≤ {self.limit:g} {self.unit}")
        return ", ".join(parts)

    @property
    def verdict(self):
        """`ok`, `short`, or nothing where there is no bound."""
        if not self.reach:
            return ""
        reached = True
        if self.bound is not None:
            ratio = self.ratio
            reached = ratio is not None and (ratio >= self.bound if self.at_least else ratio <= self.bound)
        if self.limit is not None:
            reached = reached and median(self.ours) <= self.limit
        return "ok" if reached else "short"

    def as_json(self):
        return {**asdict(self), "ratio": self.ratio, "reach": self.reach, "verdict": self.verdict}


def compare(bench, repetitions, ours, theirs):
    """Runs both sides in turn, ABBA: each returns figures by name; returns name → (ours, theirs)."""
    samples = {}
    for repetition in range(repetitions):
        sides = [(0, ours), (1, theirs)]
        for side, run in sides if repetition % 2 == 0 else reversed(sides):
            bench.check_time()
            for name, value in run().items():
                samples.setdefault(name, ([], []))[side].append(value)
            time.sleep(0.05)
    return samples


def number(value):
    """Three significant digits."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
