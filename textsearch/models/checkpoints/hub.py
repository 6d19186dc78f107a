"""Names of models: a path that is not there, and a hub that does not answer, are known at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import final

_PATIENCE = 3.0  # seconds


@final
@dataclass(frozen=True)
class HubModel:
    """A model of the hub that is taken where none is given.

    Attributes:
        name: its id.
        size: gigabytes to download.
        licence: SPDX identifier.
    """

    name: str
    size: float
    licence: str

    def __str__(self) -> str:
        """As a message names it.

        >>> print(HubModel("google-bert/bert-base-chinese", 0.4, "Apache-2.0"))
        google-bert/bert-base-chinese (0.4 GB, Apache-2.0)
        """
        return f"{self.name} ({self.size:.1f} GB, {self.licence})"

    def is_here(self) -> bool:
        """Whether its settings and weights are in the hub's cache on this machine."""
        from huggingface_hub import try_to_load_from_cache

        files = ("config.json", "model.safetensors")
        return all(isinstance(try_to_load_from_cache(self.name, file), str) for file in files)


def check_path(name_or_path: str | os.PathLike[str]) -> None:
    """Refuse what can only be a path and leads nowhere.

    Raises:
        ValueError: there is no such folder.

    >>> check_path("bert-base-uncased"), check_path("HuggingFaceTB/SmolLM2-135M")
    (None, None)
    >>> check_path("models/my/bert")
    Traceback (most recent call last):
    ...
    ValueError: cannot load the model 'models/my/bert': there is no such folder -- pass the path of a folder, or the ...
    """
    name = os.fspath(name_or_path)
    path = Path(name).expanduser()
    # the id of a model is a name, or an owner and a name
    is_path = not isinstance(name_or_path, str) or name.count("/") > 1 or name.startswith((".", "/", "~"))
    if path.is_dir() or not (is_path or (os.sep != "/" and os.sep in name) or path.exists()):
        return
    what = "it is a file" if path.exists() else "there is no such folder"
    raise ValueError(
        f"cannot load the model {name!r}: {what} -- pass the path of a folder, or the id of a model on the hub"
    )


def reachable() -> bool:
    """Whether the model hub answers in good time, by whatever way the hub's library is set to take.

    Its library asks again and again, for most of a minute, and the name of a host may be looked up for longer.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    if constants.HF_HUB_OFFLINE:
        return False
    answered = []

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
        # no answer, whatever the reason
        except Exception:
            return
        answered.append(True)

    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return bool(answered)
