"""The arithmetic of the drawing."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboarding.analytics.chart import BOTTOM, HEIGHT, LEFT, RIGHT, STYLES, TOP, WIDTH, Series, draw, nice_ticks, spread

MONDAY = date(2025, 9, 1)


def weeks(count: int) -> list[date]:
    return [MONDAY + timedelta(weeks=number) for number in range(count)]


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (3, [0, 1, 2, 3]),
        (7, [0, 2, 4, 6, 8]),
        (10, [0, 2, 4, 6, 8, 10]),
        (350, [0, 100, 200, 300, 400]),
        (1000, [0, 200, 400, 600, 800, 1000]),
    ],
)
def test_the_scale_has_round_marks(highest: int, ticks: list[int]) -> None:
    assert nice_ticks(highest) == ticks


@given(st.integers(min_value=0, max_value=10**12))
def test_the_scale_always_holds_the_highest_value_in_few_marks(highest: int) -> None:
    ticks = nice_ticks(highest)

    assert ticks[0] == 0
    assert ticks[-1] >= highest
    assert 2 <= len(ticks) <= 7
    assert len({after - before for before, after in pairwise(ticks)}) == 1


def test_nothing_to_draw_is_an_empty_frame() -> None:
    chart = draw([], [])

    assert (chart.lines, chart.dates) == ((), ())
    assert [tick.label for tick in chart.values] == ["0", "1"]


def test_one_week_is_a_mark_in_the_middle_without_a_line() -> None:
    line = draw(weeks(1), [Series("Fichiers", [4])]).lines[0]

    assert line.segments == ()
    assert line.marks[0][0] == LEFT + (WIDTH - LEFT - RIGHT) / 2


def test_zeros_lie_on_the_axis() -> None:
    line = draw(weeks(3), [Series("Fichiers", [0, 0, 0])]).lines[0]

    assert {point.split(",")[1] for point in line.segments[0].split()} == {str(float(HEIGHT - BOTTOM))}


def test_a_missing_week_cuts_the_line_and_a_week_alone_keeps_its_mark() -> None:
    line = draw(weeks(6), [Series("Fichiers", [1, 2, None, 5, None, None])]).lines[0]

    assert len(line.segments) == 1
    assert len(line.segments[0].split()) == 2
    assert any(mark[0] == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) * 3 / 5, abs=0.1) for mark in line.marks)
    assert line.last == 5


def test_a_service_without_any_figure_keeps_its_name() -> None:
    line = draw(weeks(2), [Series("Visio", [None, None])]).lines[0]

    assert (line.segments, line.marks, line.last) == ((), (), None)


def test_only_as_many_lines_are_drawn_as_one_can_tell_apart() -> None:
    chart = draw(weeks(2), [Series(str(number), [number, number]) for number in range(STYLES + 3)])

    assert [line.style for line in chart.lines] == list(range(1, STYLES + 1))


def test_a_series_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Fichiers: 1 values for 2 weeks"):
        draw(weeks(2), [Series("Fichiers", [1])])


def test_the_first_and_the_last_week_are_dated() -> None:
    labels = [tick.label for tick in draw(weeks(31), [Series("Fichiers", [1] * 31)]).dates]

    assert (labels[0], labels[-1]) == ("1er sept. 25", "30 mars 26")
    assert len(labels) == 6


@given(st.lists(st.floats(min_value=TOP, max_value=HEIGHT - BOTTOM), max_size=STYLES))
def test_the_names_of_the_lines_never_overlap_nor_leave_the_frame(wanted: list[float]) -> None:
    placed = spread(wanted, 18, HEIGHT - BOTTOM)

    ordered = sorted(placed)
    assert all(after - before >= 18 - 0.11 for before, after in pairwise(ordered))
    assert all(0 <= at <= HEIGHT - BOTTOM for at in placed)
