"""``python -m samotion.export.training.tapir``: see tapir_recipe.py."""

from samotion.export.training.tapir.tapir_recipe import main

if __name__ == "__main__":
    raise SystemExit(main())
