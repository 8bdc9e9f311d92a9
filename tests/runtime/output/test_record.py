import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samotion.runtime.output.record import mean_score, settled
from samotion.runtime.values import State


def test_what_is_seen_again_was_hidden() -> None:
    told = [State.LOST, State.HIDDEN, State.MOVING, State.LOST, State.STILL, State.HIDDEN, State.LOST]
    expected = (None, None, "moving", "hidden", "still", "hidden", "lost")
    assert settled(np.array(told, np.uint8)) == expected


@given(told=st.lists(st.sampled_from(State)))
def test_states_have_one_order(told: list[State]) -> None:
    words = settled(np.array(told, np.uint8))
    seen = [word in ("moving", "still") for word in words]
    assert seen == [state >= State.STILL for state in told]
    first = seen.index(True) if any(seen) else len(seen)
    assert [word is None for word in words] == [at < first for at in range(len(words))]
    if "lost" in words:
        assert not any(seen[words.index("lost") :])


def test_a_score_is_the_mean_over_frames() -> None:
    assert mean_score([(1.0, 30), (0.5, 10)]) == pytest.approx(0.875)
    assert mean_score([]) == 0
