"""Bundles from Hugging Face repositories: downloaded once, whole or not at all, into the cache."""

import re
import shutil
from pathlib import Path

from samotion.engines.atomic import atomic_folder
from samotion.engines.bundle_files import verify
from samotion.engines.cache import cache_folder
from samotion.engines.errors import BundleError
from samotion.engines.manifest import EMBEDDED, FILE, read
from samotion.engines.packages import require_extra

REPOSITORY = re.compile(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w-][\w.-]*))?")  # org/name, or org/name@revision
WANTED = (FILE, "*.onnx", "*.onnx.data", "*.plan", "MODEL_CARD.md", "LICENSE*")  # all of a bundle, and its papers


def bundle_folder(named: str | Path | None) -> Path:
    """Return the folder of a bundle.

    A repository is downloaded where the cache does not have it; what it has is used without a network. Whether every
    file is as bundle.json states is checked where it is loaded.

    Args:
        named: a folder; or "org/name" or "org/name@revision", a repository on Hugging Face, where no such folder is;
            None for the shipped bundle.

    Raises:
        BundleError: the repository cannot be had, or is no bundle.
        SettingsError: the extra ``hub`` is not installed.
    """
    if named is None:
        return EMBEDDED
    found = REPOSITORY.fullmatch(str(named))
    if found is None or Path(named).exists():
        return Path(named)
    repository, revision = found.groups()
    folder = cache_folder() / "hub" / repository / (revision or "main")
    if not (folder / FILE).is_file():
        _download(repository, revision, folder)
    return folder


def _download(repository: str, revision: str | None, folder: Path) -> None:
    """Put the bundle of a repository into ``folder``."""
    hub = require_extra("huggingface_hub", "hub", f"{repository} (no folder, so a Hugging Face repository)")
    with atomic_folder(folder) as partial:
        try:
            hub.snapshot_download(repository, revision=revision, local_dir=partial, allow_patterns=list(WANTED))
        except Exception as error:  # of HTTP, of the hub, of the network: they share no root
            why = (str(error).split("\n")[0] or type(error).__name__).strip()
            raise BundleError(
                f"{repository}: there is no such folder, and as a Hugging Face repository it cannot be had ({why})",
                "see that the name is right, the network is there, and HF_TOKEN is set where it is private",
            ) from error
        shutil.rmtree(partial / ".cache", ignore_errors=True)  # the hub's own notes
        try:
            for entry in read(partial).graphs.values():
                verify(partial, entry)
        except BundleError as error:
            unsound = f"{repository}: what was downloaded is no sound bundle ({error.message})"
            raise BundleError(unsound, "tell who published it, or try again") from error
