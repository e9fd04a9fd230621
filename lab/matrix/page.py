"""What a matrix shows: per fault, per condition, who was confused with whom, goals, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from rich.table import Table

from lab.faults import FAULTS
from lab.matrix.conditions import CONDITIONS, Condition
from why504.diagnose.causes import UNKNOWN

CONTROL: Final = "N0"
CONSERVED_S: Final = 1e-6


class Row(dict[str, Any]):
    """An outcome as JSON."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A table, for a terminal and for a page."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def for_terminal(self) -> Table:
        """Return it drawn."""
        table = Table(*self.headings, title=self.title, header_style="bold")
        for row in self.rows:
            table.add_row(*row)
        return table

    def for_page(self) -> str:
        """Return it as Markdown."""
        rows = [self.headings, ["---"] * len(self.headings), *self.rows]
        body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        return f"## {self.title}\n\n{body}\n"


class Goal(NamedTuple):
    """One figure that the matrix must show; shares of 0 to 1."""

    name: str
    share: float
    target: float
    at_most: bool
    runs: int
    """Of how many it is the share; of none it is neither met nor missed."""
    baseline: str = "none"
    """What does as well without an engine, on the same runs."""

    @property
    def met(self) -> bool:
        """Whether the figure is on its side of the target."""
        if not self.runs:
            return True
        return self.share <= self.target if self.at_most else self.share >= self.target


def goals(found: Sequence[Row]) -> list[Goal]:
    """Return the figures of some runs beside their targets and what a simpler method reaches."""
    faults = [row for row in found if row["fault"] != CONTROL]
    controls = [row for row in found if row["fault"] == CONTROL]
    lines = [row for row in faults if row["expected"]["site"]]
    less = [(row, cause) for row in faults for cause in row["ablations"].values()]
    return [
        _named("trigger named", faults, "trigger", 0.95)._replace(baseline=_best_method(faults)),
        _named("mechanism named", faults, "mechanism", 0.98),
        _named("line named, where there is one", lines, "site", 0.95),
        _share(
            "controls with a cause", controls, lambda r: r["trigger"] != CONTROL, 0.02, at_most=True
        )._replace(baseline=_best_method(controls, wrong=True)),
        _share(
            "less evidence: right or UNKNOWN, never another cause",
            less,
            lambda pair: pair[1] in (pair[0]["expected"]["trigger"], UNKNOWN),
            0.9,
        ),
        _share(
            "blame conserved to 1e-6 s",
            found,
            lambda r: abs(r["blame_in_s"] - r["blame_out_s"]) < CONSERVED_S,
            1.0,
        ),
    ]


def _named(name: str, rows: Sequence[Row], key: str, target: float) -> Goal:
    """Return the share of runs with the right answer, beside always giving the commonest one."""
    (_, most), *_ = Counter(row["expected"][key] for row in rows).most_common(1) or [("", 0)]
    goal = _share(name, rows, lambda r: _is_right(r, key), target)
    return goal._replace(baseline=f"always the commonest: {most / max(1, len(rows)):.0%}")


def _is_right(row: Row, key: str) -> bool:
    """Return whether what was expected is what was named; any line is where none was expected."""
    wanted = row["expected"]
    if key != "site":
        return bool(row[key] == wanted[key])
    return not wanted["site"] or row["site"] in (wanted["site"], *wanted.get("also", ()))


def _best_method(rows: Sequence[Row], *, wrong: bool = False) -> str:
    """Return the simpler method that is right most often, with its share, or its share of wrong."""
    right = Counter(
        {
            name: sum(row["baselines"].get(name) == row["expected"]["trigger"] for row in rows)
            for name in _methods_of(rows)
        }
    )
    for name, count in right.most_common(1):
        share = (len(rows) - count if wrong else count) / len(rows)
        return f"{name}: {share:.0%}"
    return "none"


def _methods_of(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["baselines"]))


def missed(found: Sequence[Row]) -> list[Goal]:
    """Return the goals that some runs don't meet."""
    return [goal for goal in goals(found) if not goal.met]


def tables(found: Sequence[Row]) -> list[Cells]:
    """Return everything that some runs show."""
    return [
        _by_fault(found), _by_condition(found), _confusion(found), _methods(found),
        _with_less(found), _replayed(found), _of_goals(found),
    ]  # fmt: skip


def page(found: Sequence[Row], whole: int) -> str:
    """Return docs/matrix.md; `whole` is how many runs a whole matrix has."""
    parts = "\n".join(table.for_page() for table in tables(found))
    faults = "\n".join(f"- **{row.id}**: {row.description}" for row in FAULTS)
    conditions = "\n".join(_told(row) for row in CONDITIONS)
    return (
        "# The fault matrix\n\n"
        "Written by `make matrix`: every fault of `lab/faults.py`, injected into the reference\n"
        "service on real servers under each condition of `lab/matrix/conditions.py`, against what\n"
        "the engine named. Numbers are sums over the runs. “Stock” is OpenTelemetry as its manual\n"
        "sets it up, in the same process and run. A hang lets it export the spans of a request's\n"
        "body or of a statement; the request's own span, which says how long and which route,\n"
        f"leaves only when the request ends.\n\n"
        f"{len(found)} of {whole} runs (fault, condition, seed) were played.\n"
        f"{_commits(found)}\n\n{parts}\n## Faults\n\n{faults}\n\n"
        f"## Conditions\n\n{conditions}\n"
    )


def _commits(found: Sequence[Row]) -> str:
    played = Counter(row["played_at"] for row in found)
    runs = ", ".join(f"{at} ({n} run{'s' * (n > 1)})" for at, n in played.items())
    scored = ", ".join(dict.fromkeys(row["scored_at"] for row in found))
    return (
        f"Played at commits {runs}; scored at {scored}.\n"
        "A `+` says that files of the checkout differed from the commit."
    )


def _told(row: Condition) -> str:
    """Return a condition with what can't be injected under it, and why."""
    without = "; ".join(f"without {fault}, {why}" for fault, why in row.left_out.items())
    return f"- **{row.id}**: {row.description}" + (f" ({without})" if without else "")


def _by_fault(found: Sequence[Row]) -> Cells:
    rows = []
    for fault_id in dict.fromkeys(row["fault"] for row in found):
        runs = [row for row in found if row["fault"] == fault_id]
        waits_s = [s for r in runs if (s := r["seconds_first_504_to_verdict"]) is not None]
        rows.append(
            [
                fault_id,
                ", ".join(sorted({_cause(r["expected"]) for r in runs})),
                ", ".join(sorted({_cause(r) for r in runs})),
                _of(runs, lambda r: _is_right(r, "site")),
                *(str(_sum(runs, key)) for key in _SUMS),
                f"{min(waits_s):.1f} to {max(waits_s):.1f} s" if waits_s else "",
            ]
        )
    headings = (
        "fault", "injected", "named", "right line", "504s", "explained", "unknown",
        "why504: any span", "stock: any span", "stock: request span", "named after",
    )  # fmt: skip
    return Cells("By fault", headings, rows)


def _cause(told: Mapping[str, Any]) -> str:
    return f"{told['trigger']} · {told['mechanism']}"


_SUMS: Final = (
    "gateway_504", "explained", "unknown", "victims_with_app_span", "victims_with_stock_span",
    "victims_with_stock_server_span",
)  # fmt: skip


def _by_condition(found: Sequence[Row]) -> Cells:
    rows = []
    for name in dict.fromkeys(row["under"] for row in found):
        runs = [row for row in found if row["under"] == name]
        wrong = [f"{r['fault']}: {'; '.join(r['problems'])}" for r in runs if r["problems"]]
        rows.append(
            [name, _of(runs, lambda r: bool(r["correct"])), "<br>".join(wrong) or "nothing"]
        )
    return Cells("By condition", ("condition", "right", "what was wrong"), rows)


def _confusion(found: Sequence[Row]) -> Cells:
    counts = Counter((row["expected"]["trigger"], row["trigger"]) for row in found)
    injected = sorted({pair[0] for pair in counts})
    named = sorted({pair[1] for pair in counts})
    rows = [[one, *(str(counts[one, other] or "") for other in named)] for one in injected]
    return Cells("Injected against named", ("injected", *named), rows)


def _methods(found: Sequence[Row]) -> Cells:
    def right(runs: Sequence[Row], name: str) -> str:
        return _of(runs, lambda r: r["baselines"].get(name) == r["expected"]["trigger"])

    names = _methods_of(found)
    faults = [row for row in found if row["fault"] != CONTROL]
    ours = _of(faults, lambda r: r["trigger"] == r["expected"]["trigger"])
    rows = [["why504", ours], *([name, right(faults, name)] for name in names)]
    return Cells("Simpler methods on the same runs", ("method", "trigger right"), rows)


def _with_less(found: Sequence[Row]) -> Cells:
    rows = []
    faults = [row for row in found if row["fault"] != CONTROL]
    for name in dict.fromkeys(name for row in faults for name in row["ablations"]):
        named = [(r["expected"]["trigger"], r["ablations"][name]) for r in faults]
        right = sum(wanted == got for wanted, got in named)
        unknown = sum(got == UNKNOWN for _, got in named)
        wrong = Counter(
            f"{wanted} as {got}" for wanted, got in named if got not in (wanted, UNKNOWN)
        )
        told = ", ".join(f"{count} x {what}" for what, count in wrong.most_common())
        rows.append([name, str(right), str(unknown), told or "0"])
    return Cells("With less evidence", ("left out", "right", "UNKNOWN", "wrong"), rows)


def _replayed(found: Sequence[Row]) -> Cells:
    """Return how often the unchanged replay gave what happened, and what prevented most."""
    rows = []
    for fault_id in dict.fromkeys(row["fault"] for row in found):
        replays = [r["replay"] for r in found if r["fault"] == fault_id and r.get("replay")]
        if not replays:
            continue
        faithful = [replay for replay in replays if not replay["why_not"]]
        best = next((r["tried"][0] for r in faithful if r["tried"]), None)
        said = f"{best['change']}: {best['left']} of {best['victims']} left" if best else ""
        rows.append([fault_id, f"{len(faithful)} of {len(replays)}", said])
    headings = ("fault", "faithful", "most helpful, in the first such run: if ...")
    return Cells("Played again with one thing changed", headings, rows)


def _of_goals(found: Sequence[Row]) -> Cells:
    rows = [
        [
            "pass" if goal.met else "MISS",
            goal.name,
            f"{goal.share:.1%} of {goal.runs}",
            f"{'at most' if goal.at_most else 'at least'} {goal.target:.0%}",
            goal.baseline,
        ]
        for goal in goals(found)
    ]
    return Cells("Goals", ("", "goal", "measured", "target", "baseline"), rows)


def _share(
    name: str,
    rows: Sequence[Any],
    holds: Callable[[Any], bool],
    target: float,
    *,
    at_most: bool = False,
) -> Goal:
    share = sum(holds(row) for row in rows) / len(rows) if rows else 0.0
    return Goal(name, share, target, at_most, len(rows))


def _of(rows: Sequence[Row], holds: Callable[[Row], bool]) -> str:
    return f"{sum(holds(row) for row in rows)} of {len(rows)}"


def _sum(rows: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(int(row[key]) for row in rows)
