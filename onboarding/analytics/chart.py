"""A line chart as numbers: where each line, mark and label goes. Pure; the template draws it, the table says it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 16, 44  # the margins: the scale, the names of the lines, air, the dates
LABEL_HEIGHT = 18  # below which two names would overlap
STYLES = 6  # dash patterns and marks that one still tells apart
TICKS, DATES = 5, 6
MONTHS = ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.")


@dataclass(frozen=True)
class Series:
    """What to draw: a value per week, None where nothing was reported."""

    name: str
    values: Sequence[int | None]


@dataclass(frozen=True)
class Tick:
    """A mark of a scale: its place along the axis, in units of the drawing, and its words."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """One series, drawn. `style` (1 to `STYLES`) gives its colour, dashes and marks."""

    name: str
    style: int
    segments: tuple[str, ...]  # each the `points` of an SVG polyline; a week without figure cuts the line
    marks: tuple[tuple[float, float], ...]
    label_y: float
    last: int | None


@dataclass(frozen=True)
class Chart:
    """Everything the template needs."""

    lines: tuple[Line, ...]
    values: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    label_x: int = WIDTH - RIGHT + 14


def draw(weeks: Sequence[date], series: Sequence[Series], label: Callable[[date], str] | None = None) -> Chart:
    """Place the first `STYLES` series on one scale that starts at zero; each has a value per week, or month.

    `label` writes a date under the drawing; `day_label` unless told.

    Raises:
        ValueError: a series is not as long as the weeks.
    """
    for one in series:
        if len(one.values) != len(weeks):
            raise ValueError(f"{one.name}: {len(one.values)} values for {len(weeks)} weeks")
    shown = series[:STYLES]
    scale = nice_ticks(max((value for one in shown for value in one.values if value is not None), default=0))
    top = scale[-1]

    def x(index: int) -> float:
        """A single week stands in the middle."""
        span = WIDTH - LEFT - RIGHT
        return round(LEFT + (span * index / (len(weeks) - 1) if len(weeks) > 1 else span / 2), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)

    points = [[(x(i), y(value)) if value is not None else None for i, value in enumerate(one.values)] for one in shown]
    last_points = [next((point for point in reversed(line) if point), None) for line in points]
    labels = spread([point[1] if point else y(0) for point in last_points], LABEL_HEIGHT, y(0))
    return Chart(
        lines=tuple(
            Line(
                name=one.name,
                style=number + 1,
                segments=_segments(points[number]),
                marks=_marks(points[number]),
                label_y=labels[number],
                last=next((value for value in reversed(one.values) if value is not None), None),
            )
            for number, one in enumerate(shown)
        ),
        values=tuple(Tick(y(value), f"{value:,}".replace(",", "\u202f")) for value in scale),
        dates=tuple(Tick(x(i), (label or day_label)(weeks[i])) for i in _some(len(weeks), DATES)),
    )


def nice_ticks(highest: int, wanted: int = TICKS) -> list[int]:
    """Return whole marks from 0 to at least `highest`, in steps of 1, 2 or 5 times a power of ten."""
    rough = max(highest, 1) / wanted
    power = 10 ** floor(log10(rough))
    step = max(1, ceil(next(power * nice for nice in (1, 2, 5, 10) if power * nice >= rough * (1 - 1e-9))))
    return list(range(0, step * ceil(max(highest, 1) / step) + 1, step))


def spread(wanted: Sequence[float], gap: float, lowest: float) -> list[float]:
    """Move labels apart so that each is `gap` under the one above and none is under `lowest`; order is kept."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = [0.0] * len(wanted)
    previous = float("-inf")
    for index in order:
        placed[index] = previous = max(wanted[index], previous + gap)
    limit = lowest
    for index in reversed(order):
        placed[index] = limit = min(placed[index], limit)
        limit -= gap
    return [round(value, 1) for value in placed]


def day_label(day: date) -> str:
    """Write a date short, the French way: « 1er sept. 25 »."""
    number = "1er" if day.day == 1 else str(day.day)
    return f"{number} {MONTHS[day.month - 1]} {day.year % 100:02d}"


def month_label(month: date) -> str:
    """Write a month short: « mars 26 »."""
    return f"{MONTHS[month.month - 1]} {month.year % 100:02d}"


def _segments(points: Sequence[tuple[float, float] | None]) -> tuple[str, ...]:
    segments: list[list[str]] = [[]]
    for point in points:
        if point is None:
            segments.append([])
        else:
            segments[-1].append(f"{point[0]},{point[1]}")
    # A point alone draws no line; its mark shows it.
    return tuple(" ".join(segment) for segment in segments if len(segment) > 1)


def _marks(points: Sequence[tuple[float, float] | None]) -> tuple[tuple[float, float], ...]:
    """Mark about ten points, and each that no line touches: the marks tell lines apart, not weeks."""
    every = max(1, len(points) // 10)
    marks = []
    for index, point in enumerate(points):
        if point is None:
            continue
        neighbours = [*points[max(index - 1, 0) : index], *points[index + 1 : index + 2]]
        alone = not any(neighbours)
        if alone or (len(points) - 1 - index) % every == 0:
            marks.append(point)
    return tuple(marks)


def _some(count: int, most: int) -> list[int]:
    """Choose at most `most` indexes, evenly, the first and the last included."""
    if count <= most:
        return list(range(count))
    return [round(step * (count - 1) / (most - 1)) for step in range(most)]
