"""A bundle's folder is replaced as a whole, or not at all."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from samotion.engines.errors import OutputError
from samotion.engines.manifest import FILE


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield a hidden folder that takes the place of ``out`` if the block ends well, else goes away.

    Raises OutputError if ``out`` cannot be written, or holds other files than an engine bundle.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.exists() and any(out.iterdir()) and not (out / FILE).exists():
            raise OutputError(f"{out}: holds other files than an engine bundle; name an empty or new folder")
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror}); name another folder with -o") from error
    try:
        yield partial
        partial.chmod(0o755)
        shutil.rmtree(out, ignore_errors=True)
        partial.replace(out)
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror}); free space or name another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
