"""joblib's backend for dask, which says when a task is lost: joblib 1.6 tells nobody, and waits for it for ever.

Nor does it run anything in the process that sends blocks, as joblib does while a cluster has one worker, where a block
that kills would end the run; nor does it send a block of its own to a cluster without workers, to wait for the first,
which a block that kills takes with it. Blocks wait with dask until workers are back.
"""

from __future__ import annotations

import asyncio
from typing import Any


def backend_of(client: Any) -> Any:
    """A backend of its own for one call of joblib; what dask gives up comes back as the error, in place of a result."""
    from joblib._dask import DaskDistributedBackend

    class Reporting(DaskDistributedBackend):  # type: ignore[misc]
        """As joblib's, but for these two methods."""

        def effective_n_jobs(self, n_jobs: int) -> int:
            # with 1 joblib runs all here
            return max(int(sum(self.client.ncores().values())), 2)

        async def _collect(self) -> None:
            while self._continue:
                async for future, result in self.waiting_futures:
                    waiting, callback = self._results.pop(future), self._callbacks.pop(future)
                    if future.status == "error":
                        result = [result[1]]  # type, error and traceback
                    elif future.status != "finished":
                        result = [ConnectionError(f"dask has {future.status} a block: its scheduler is gone")]
                    waiting.set_result(result)
                    callback(result)
                await asyncio.sleep(0.01)

    return Reporting(client=client)
