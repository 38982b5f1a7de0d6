"""Draws the whole path as an SVG: for each piece of work a bar a build, as long as its share of the fastest.

Task: T-032 · Spec: plan.md#yardstick
"""

from collections.abc import Sequence
from html import escape

from todo_bench.figures import Comparison

WIDTH, LEFT, RIGHT = 860, 170, 170
BAR, GAP, HEAD, TOP = 16, 5, 30, 58
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; }
.work { font-weight: 600; }
.quiet { fill: #6e7781; }
.bar { fill: #b6c2cf; }
.subject { fill: #0a7d5a; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .quiet { fill: #8d96a0; } .bar { fill: #444c56; } .subject { fill: #2ea97f; }
}
"""


def draw(comparisons: Sequence[Comparison], title: str, note: str) -> str:
    """The picture of these comparisons, requests a second all of them; builds that failed have no bar.

    It follows the reader's light or dark scheme.
    """
    shapes: list[str] = []
    y = TOP
    for comparison in comparisons:
        shapes.append(_text(0, y + 14, comparison.title, "work"))
        y += HEAD - 8
        fastest = max((series.value or 0 for series in comparison.series), default=0) or 1
        for series in comparison.series:
            length = (WIDTH - LEFT - RIGHT) * (series.value or 0) / fastest
            name = "subject" if series.build == comparison.subject else "bar"
            shapes.append(_text(LEFT - 12, y + 13, series.build, "quiet" if name == "bar" else "", "end"))
            shapes.append(
                f'<rect class="{name}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
            )
            shapes.append(
                _text(LEFT + length + 8, y + 13, _label(comparison, series.build, series.value), "quiet")
            )
            y += BAR + GAP
        y += HEAD - 16
    head = [_text(0, 18, title, "title"), _text(0, 38, note, "quiet")]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 0 {WIDTH + 16} {y}" role="img" '
        f'aria-label="{escape(title)}"><style>{_STYLE}</style>\n' + "\n".join([*head, *shapes]) + "\n</svg>\n"
    )


def _label(comparison: Comparison, build: str, value: float | None) -> str:
    if value is None:
        return "does not count"
    ratio = comparison.ratio(build)
    return f"{value:,.0f}/s" + (f" · product {ratio.median:.2g}×" if ratio else "")


def _text(x: float, y: float, text: str, name: str, anchor: str = "start") -> str:
    return f'<text class="{name}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
