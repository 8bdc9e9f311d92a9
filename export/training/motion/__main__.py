"""``python -m samotion.export.training.motion``: see motion_recipe.py."""

from samotion.export.training.motion.motion_recipe import main

if __name__ == "__main__":
    raise SystemExit(main())
