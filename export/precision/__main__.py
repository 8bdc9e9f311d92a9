"""``python -m samotion.export.precision``: see convert.py."""

from samotion.export.precision.convert import main

if __name__ == "__main__":
    raise SystemExit(main())
