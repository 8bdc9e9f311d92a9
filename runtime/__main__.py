"""``samotion-run``: signals are looked after before anything heavy is imported."""

from samotion.engines.program import leave_when_interrupted

leave_when_interrupted()

from samotion.runtime.cli import entry  # noqa: E402

if __name__ == "__main__":
    entry()
