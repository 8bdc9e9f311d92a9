"""Lost frames are found by the times of packets, in any order of decoding."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from samotion.runtime.sources.timetable import Timetable

STEP = 40


def shown(promised: list[int], lost: set[int], reorder: int) -> tuple[list[int], list[int]]:
    """Return the times found lost, and all times in the order in which they come out."""
    timetable = Timetable(Fraction(STEP), Fraction(1000))
    found: list[int] = []
    order: list[int] = []
    for at in range(0, len(promised), reorder):  # each group is decoded from its last frame on
        for time in reversed(promised[at : at + reorder]):
            timetable.sent(time, None, STEP, time == promised[0])
        for time in promised[at : at + reorder]:
            if time not in lost:
                missing = timetable.lost_before(time)
                timetable.shown(time)
                found += missing
                order += [*missing, time]
    missing = timetable.rest()
    return found + missing, order + missing


@given(count=st.integers(2, 40), lost=st.sets(st.integers(0, 39)), reorder=st.integers(1, 4))
def test_every_lost_frame_is_found_in_its_place(count: int, lost: set[int], reorder: int) -> None:
    promised = [STEP * number for number in range(count)]
    gone = {STEP * number for number in lost} & set(promised)
    found, order = shown(promised, gone, reorder)
    if len(gone) < count:
        assert set(found) == gone
        assert order == promised


def test_hidden_packets_are_no_frames() -> None:
    timetable = Timetable(Fraction(STEP), Fraction(1000))
    for number in range(5):
        timetable.sent(STEP * number, None, STEP, number == 0)
        timetable.sent(STEP * number + 1, None, 0, False)  # VP8's golden frames come just after a shown one
        assert timetable.lost_before(STEP * number) == []
        timetable.shown(STEP * number)


def test_a_clock_that_goes_back_loses_nothing() -> None:
    timetable = Timetable(Fraction(STEP), Fraction(1000))
    for time in [0, 40, 80, 0, 40, 80]:
        timetable.sent(time, time, STEP, time == 0)
        assert timetable.lost_before(time) == []
        timetable.shown(time)
    assert timetable.rest() == []
