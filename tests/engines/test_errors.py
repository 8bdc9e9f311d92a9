"""Errors of the user's: one line, its remedy apart, whole after pickling."""

import pickle

from samotion.engines.errors import BundleError, SamotionError


def test_the_line_ends_with_the_remedy() -> None:
    error = BundleError("engines: damaged; format 3", "export it again")
    assert str(error) == "engines: damaged; format 3; export it again"
    assert (error.message, error.remedy) == ("engines: damaged; format 3", "export it again")
    assert str(SamotionError("seed is -1")) == "seed is -1"


def test_errors_survive_pickling() -> None:
    again = pickle.loads(pickle.dumps(BundleError("damaged", "export it again")))
    assert isinstance(again, BundleError)
    assert (again.message, again.remedy) == ("damaged", "export it again")
