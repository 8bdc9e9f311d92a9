"""``python -m samotion.export.training.semantics``: see semantics_recipe.py."""

from samotion.export.training.semantics.semantics_recipe import main

if __name__ == "__main__":
    raise SystemExit(main())
