"""How all tests run: no example has a deadline, which a busy machine would miss."""

from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
