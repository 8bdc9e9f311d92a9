"""``python -m samotion.calibration.demo``: see clip.py."""

from samotion.calibration.demo.clip import main

if __name__ == "__main__":
    raise SystemExit(main())
