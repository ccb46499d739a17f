"""Draws the report.

Belongs here: what the pictures look like. Does not belong here: numbers (`report`).

This module imports matplotlib, which takes a second and 60 MB: only what draws imports it, when it
draws.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from ingest_assets.operations.report import Report, Span

# Colours that people tell apart who see no difference of red and green (Okabe and Ito).
_DONE, _FAILED, _BACKLOG, _OTHER = "#0072b2", "#d55e00", "#444444", "#56b4e9"
_INCHES, _DOTS_PER_INCH = (7.4, 2.7), 80

_NAMED_STATES = {"failed": _FAILED, "completed": _DONE}


def draw(report: Report) -> dict[str, bytes]:
    """The pictures, each a PNG of at most some 8 KB, by title."""
    return {
        "The last 24 hours": _picture(lambda axes: _spans(axes, report.day, "hour", "%H:00")),
        "The last 30 days": _picture(lambda axes: _spans(axes, report.month, "day", "%d %b")),
        "Documents by state": _picture(lambda axes: _states(axes, report)),
        "Pages by origin, and how sure the engine is of recognised ones": _picture(
            lambda axes: _pages(axes, report)
        ),
    }


def _picture(draw_on: Callable[[Axes], None]) -> bytes:
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    draw_on(axes)
    drawn, png = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    # Dagster keeps the pictures of each hour. With a palette they have a quarter of the bytes.
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(32).save(png, "PNG", optimize=True)
    return png.getvalue()


def _spans(axes: Axes, spans: Sequence[Span], unit: str, form: str) -> None:
    places = range(len(spans))
    done = [span.ended for span in spans]
    axes.bar(places, done, color=_DONE, label="done")
    axes.bar(places, [span.failed for span in spans], bottom=done, color=_FAILED, label="failed")
    axes.plot(places, [span.backlog for span in spans], color=_BACKLOG, linewidth=1.5, label="backlog")
    every = max(1, len(spans) // 8)
    ticks = list(places)[::-every][::-1]
    axes.set_xticks(ticks, [f"{spans[place].begin:{form}}" for place in ticks])
    axes.set_title(
        f"Done, failed and backlog by {unit}, until {spans[-1].begin:%Y-%m-%d} (UTC)",
        loc="left",
        size=10,
    )
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    _count(axes)


def _states(axes: Axes, report: Report) -> None:
    states = {state: count for state, count in report.status.by_state.items() if count}
    bars = axes.barh(
        list(states)[::-1],
        list(states.values())[::-1],
        color=[_NAMED_STATES.get(state, _OTHER) for state in list(states)[::-1]],
    )
    axes.bar_label(
        bars, labels=[f"{count:,}" for count in list(states.values())[::-1]], padding=3, size=9
    )
    axes.set_title(f"{report.status.total:,} documents by state", loc="left", size=10)
    axes.xaxis.set_visible(False)
    axes.margins(x=0.12)


def _pages(axes: Axes, report: Report) -> None:
    names, counts, colours = ["text layer"], [report.pages["text-layer"]], [_OTHER]
    below = 0.0
    for limit, count in report.confidence.items():
        names.append(f"{below:g} to {limit:g}")
        counts.append(count)
        colours.append(_FAILED if limit <= 0.7 else _DONE)
        below = limit
    bars = axes.bar(names, counts, color=colours)
    axes.bar_label(bars, labels=[f"{count:,}" if count else "" for count in counts], padding=2, size=8)
    axes.set_title(
        f"{sum(report.pages.values()):,} pages: text layer, and recognised ones by confidence",
        loc="left",
        size=10,
    )
    axes.tick_params(axis="x", labelsize=8)
    _count(axes)


def _count(axes: Axes) -> None:
    axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1] * 1.18))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
