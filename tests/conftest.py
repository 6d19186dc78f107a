"""Settings of the whole suite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# the tensors of the tests are small: more threads would only wait for one another
torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def no_fetched_models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests without the mark `models` neither fetch the default models nor lean on those of whoever runs them."""
    if request.node.get_closest_marker("models"):
        yield
        return
    cache: Path = tmp_path_factory.getbasetemp() / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTSEARCH_CACHE", str(cache))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", "")
        yield
