"""Which frames of a stream are lost, by the times of its packets, whatever a decoder says of them."""

from fractions import Fraction


class Timetable:
    """Frames that packets have promised and no decoder has shown yet, in ticks of the stream's clock.

    step: ticks between frames, as stated. second: ticks a second. lead: frames before the first keyframe, which no
    decoder can show. flagged: whether the container tells of lost packets; from then on a gap is a loss.
    """

    def __init__(self, step: Fraction, second: Fraction) -> None:
        self.lead = 0
        self.flagged = False
        self._step = float(step)
        self._second = float(second)
        self._segments: list[dict[int, int]] = [
            {}
        ]  # promised time → duration; a clock that goes back begins a new one
        self._decoding: int | None = None
        self._key: int | None = None
        self._last: int | None = None
        self._last_duration = 0
        self._any = False

    def sent(self, time: int, decoding: int | None, duration: int | None, key: bool) -> None:
        """Take a packet that holds a frame. time, decoding: when it is shown and decoded. key: it needs no other."""
        if decoding is not None:
            if self._decoding is not None and decoding < self._decoding:
                self._segments.append({})
            self._decoding = decoding
        self._segments[-1][time] = duration or 0
        if key and self._key is None:
            self._key = time

    def lost_before(self, time: int) -> list[int]:
        """Return the times of the frames lost between the last one shown and the one now shown at ``time``."""
        at = next((number for number, segment in enumerate(self._segments) if time in segment), None)
        if at is None:  # the decoder's own time: nothing can be said
            self._segments[0] = {promised: d for promised, d in self._segments[0].items() if promised > time}
            return []
        lost = [promised for segment in self._segments[:at] for promised in self._kept(segment, None)]
        if at:
            self._last = None
        del self._segments[:at]
        lost += self._filled(self._kept(self._segments[0], time), time)
        self._segments[0] = {promised: d for promised, d in self._segments[0].items() if promised >= time}
        return lost

    def shown(self, time: int) -> None:
        """Take note that the frame of ``time`` is shown, whole or not."""
        self._last, self._last_duration = time, self._segments[0].pop(time, 0)
        self._any = True

    def is_lead(self, time: int) -> bool:
        """Whether a frame that is not whole comes before all that can be decoded; it is counted."""
        lead = not self._any and (self._key is None or time < self._key)
        if lead:
            self.lead += 1
            self._segments[0].pop(time, None)
        return lead

    def rest(self) -> list[int]:
        """Return the times of the frames that never came."""
        return [promised for segment in self._segments for promised in self._kept(segment, None)] if self._any else []

    def _kept(self, segment: dict[int, int], until: int | None) -> list[int]:
        """Return the promised times before ``until`` with room for a frame between the shown ones.

        Packets without a picture of their own, such as VP8's hidden references and second fields, have none.
        """
        kept: list[int] = []
        last, duration = self._last, self._last_duration
        for promised in sorted(segment):
            own = segment[promised] or self._step
            if until is not None and promised >= until:
                break
            if not self._any and not kept and (self._key is None or promised < self._key):
                self.lead += 1
                continue
            before = last is None or promised - last >= (duration or self._step) / 2
            if before and (until is None or until - promised >= own / 2):
                kept.append(promised)
                last, duration = promised, segment[promised]
        return kept

    def _filled(self, lost: list[int], time: int) -> list[int]:
        """Return ``lost`` with frames in the gaps of up to a second whose packets are lost as well."""
        if not self.flagged or self._last is None:
            return lost
        filled: list[int] = []
        last = self._last
        for promised in [*lost, time]:
            gap = promised - last
            count = round(gap / self._step) - 1 if 1.5 * self._step <= gap <= self._second else 0
            filled += [last + round(place * gap / (count + 1)) for place in range(1, count + 1)]
            filled.append(promised)
            last = promised
        return filled[:-1]
