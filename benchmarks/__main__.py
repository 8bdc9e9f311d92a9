"""``samotion-bench``: what it needs is looked for before it is imported."""

from samotion.engines.packages import require_packages
from samotion.engines.program import run_program


def main() -> int:
    """Run the command line and return its exit status."""
    require_packages()
    from samotion.benchmarks.bench import main as bench

    return bench()


def entry() -> None:
    """Run as a program: a polite kill cleans up as an interrupt does."""
    run_program(main, "samotion-bench")


if __name__ == "__main__":
    entry()
