"""``python -m samotion.export.training.masks``: see mask_recipe.py."""

from samotion.export.training.masks.mask_recipe import main

if __name__ == "__main__":
    raise SystemExit(main())
