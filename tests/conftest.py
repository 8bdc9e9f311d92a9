"""How all tests run: no example has a deadline, which a busy machine would miss, and no GPU test passes by a skip.

GPU tests are skipped where there is no GPU, and nowhere else.
"""

import logging
import os
from collections.abc import Generator
from functools import cache

import pytest
from hypothesis import settings

from samotion.engines.machine import this_machine

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

UNFIT = "has no kernels for compute capability"  # what a backend says of a GPU that it does not know


@pytest.fixture(autouse=True)
def heard_loggers() -> None:
    """Let the package's warnings be heard, whatever a library that another test loaded did to all loggers."""
    logging.disable(logging.NOTSET)
    for name, logger in logging.Logger.manager.loggerDict.items():
        if name.split(".")[0] == "samotion" and isinstance(logger, logging.Logger):
            logger.disabled, logger.propagate = False, True
            logger.setLevel(logging.NOTSET)
    logging.getLogger("samotion").setLevel(logging.WARNING)  # whatever the root logger's level has become


@cache
def gpu_expected() -> bool:
    """Return whether GPU tests must run: there is a GPU, or SAMOTION_EXPECT_GPU=1 says that there is."""
    return os.environ.get("SAMOTION_EXPECT_GPU") == "1" or this_machine().gpu is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.get_closest_marker("gpu") and UNFIT not in str(report.longrepr) and gpu_expected():
        report.outcome = "failed"
        report.longrepr = f"skipped though a GPU is expected here: {report.longrepr}"
    return report
