"""``python -m samotion.export.training.depth``: see depth_recipe.py."""

from samotion.export.training.depth.depth_recipe import main

if __name__ == "__main__":
    raise SystemExit(main())
