"""Blocks of inputs over the workers of joblib: processes of this machine (loky), or of a cluster (dask, ray).

Blocks go out in waves of a few for each worker, and the next wave waits behind the one that runs, so that no worker is
idle while answers are read. What is asked of a worker never raises there: it comes back as an answer or as a failure.
Where a worker dies, all that was in flight is halved and run again until whoever kills it stands alone; what kills its
worker three times when it is alone is answered with that, and the rest goes on.

Nothing leans on what only one backend has: ray gives back no generator, so that its waves do not overlap; all that a
call had in flight is lost when a worker of loky dies; dask runs a task of a dead worker again by itself, and gives up
after some times.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import time
import warnings
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from threading import Lock, get_ident
from typing import Any, Generic, TypeVar, final
from uuid import uuid4

from textsearch.kinds import shown
from textsearch.run.dask_errors import backend_of
from textsearch.run.loky_errors import hush_ended
from textsearch.run.partial import said
from textsearch.run.seats import settle, threads_of

Item = TypeVar("Item")
Found = TypeVar("Found")

BLOCKS = 2
"""Blocks of a wave for each worker."""

TRIES = 3
"""So often may an input alone kill its worker."""

LOST = (
    f"its worker died {TRIES} times while it ran alone: too little memory, or a fault of a library; "
    "try it with fewer chains, or alone"
)

_LARGE = 2**16  # bytes that joblib is to share among the workers of a machine
_KILLED = {"BrokenExecutor", "KilledWorker", "RayActorError", "WorkerCrashedError", "OutOfMemoryError"}
_PATIENCE, _WAITS = 1.0, 600  # seconds until workers may be back, and how often
_HOME = uuid4().hex  # of this process


@final
@dataclass(frozen=True)
class Answered(Generic[Found]):
    """What the function gave for a block."""

    value: Found


@final
@dataclass(frozen=True)
class Failed:
    """A block without an answer.

    Attributes:
        error: what went wrong, in a line.
    """

    error: str


@final
@dataclass(frozen=True)
class Stopped:
    """A block that was in flight when Ctrl-C came."""


@final
@dataclass(frozen=True)
class _Raised:
    """What is no `Exception`, and ends all."""

    error: BaseException


@final
class _UnmannedError(Exception):
    """A cluster had no worker for a block."""


Outcome = Answered[Found] | Failed | Stopped
Block = Sequence[Item]


def spread(
    function: Callable[[Block[Item]], Found], blocks: Iterable[Block[Item]], *, workers: int
) -> Generator[tuple[Block[Item], Outcome[Found]], None, None]:
    """What `function` gives for each block, in order; of a block that killed its worker, for parts of it.

    No more than two waves of blocks are read ahead. After Ctrl-C what is finished of the wave that was waited for
    comes, in order, and all else in flight is `Stopped`; the workers of this machine are ended. An exception of
    `function` that is no `Exception` is raised here.

    Args:
        function: anything that can be pickled, by value if need be (`cloudpickle`); it is sent once where it is large,
            and kept by the worker. What it gives must not depend on how the inputs are cut into blocks.
        blocks: of one input or more.
        workers: at most as many at a time; -1 for all that the backend of `joblib.parallel_config` has.

    Raises:
        TypeError: the function, or an input, cannot be sent.
        RuntimeError: workers die whatever they are given.
    """
    pool: _Pool[Item, Found] = _Pool(function, workers)
    reading = iter(blocks)
    waves: deque[_Wave[Item, Found]] = deque()
    failure: Exception | None = None
    ended = False
    try:
        while True:
            while not ended and len(waves) < pool.ahead:
                own: list[Block[Item]] = []
                try:
                    own.extend(islice(reading, pool.size))
                except Exception as error:
                    failure = error
                ended = failure is not None or len(own) < pool.size
                if own:
                    try:
                        waves.append(pool.start(own))
                    except KeyboardInterrupt:  # a backend that gives back lists is waited for here
                        waves.append(_Wave(own, iter(())))
                        for left in waves:
                            yield from left.rest(0)
                        return
            if not waves:
                break
            wave = waves[0]
            for place in range(len(wave.blocks)):
                try:
                    pool.wait(wave, place)
                except KeyboardInterrupt:
                    for left in waves:
                        yield from left.rest(place if left is wave else 0)
                    return
                yield from wave.of(place)
            pool.done(waves.popleft())
        if failure is not None:
            raise failure
    finally:
        if waves:
            hush_ended()
        for wave in waves:
            pool.done(wave)
        pool.close()


@final
class _Wave(Generic[Item, Found]):
    """Blocks in flight, and what has come back so far."""

    def __init__(self, blocks: Sequence[Block[Item]], results: Iterator[Any], parallel: Any = None) -> None:
        self.blocks, self._results, self.parallel = blocks, results, parallel
        self._left = len(blocks)
        self.found: dict[int, list[tuple[Block[Item], Outcome[Found]]]] = {}
        self.unmanned = self.goes_on = self._broken = False

    def read(self) -> None:
        """One result more, whichever comes first.

        Raises:
            StopIteration: there is none.
        """
        self.goes_on, self._broken = False, True
        found = next(self._results)  # what raises gives no more
        self.goes_on = True
        self._left -= 1
        if not self._left:
            # a generator of joblib that is dropped before its end takes the workers with it
            deque(self._results, maxlen=0)
        if isinstance(found, Exception):  # dask and ray: of a block whose worker died, but not of which
            raise found
        place, outcome = found
        if isinstance(outcome, _Raised):
            raise outcome.error
        if isinstance(outcome, Exception):
            raise outcome
        self.found[place] = [(self.blocks[place], outcome)]
        self._broken = False

    @property
    def whole(self) -> bool:
        """Whether all its blocks came back, and nothing went wrong."""
        return not self._left and not self._broken

    def of(self, place: int) -> Sequence[tuple[Block[Item], Outcome[Found]]]:
        """What has come back for a block, which is then forgotten here."""
        return self.found.pop(place)

    def rest(self, place: int) -> Iterator[tuple[Block[Item], Outcome[Found]]]:
        """From a block on, what has come back and what has not."""
        for number in range(place, len(self.blocks)):
            yield from self.found.get(number, [(self.blocks[number], Stopped())])

    def close(self) -> None:
        """Wait for no more."""
        with warnings.catch_warnings():
            # joblib tells whoever leaves a generator early to take smaller steps
            warnings.simplefilter("ignore")
            close = getattr(self._results, "close", None)
            if close is not None:
                close()


@final
class _Pool(Generic[Item, Found]):
    """The workers, and what they are to do."""

    def __init__(self, function: Callable[[Block[Item]], Found], workers: int) -> None:
        import joblib
        from joblib.parallel import get_active_backend

        backend, _ = get_active_backend()
        self._workers = workers
        count = joblib.effective_n_jobs(workers)
        local = type(backend).__name__ == "LokyBackend"
        # calls that overlap need backends of their own, where one that is configured is the same for all calls
        self._backend: Callable[[], Any] | None = None
        if hasattr(backend, "client"):
            self._backend = partial(backend_of, backend.client)
        elif local:
            self._backend = partial(str, "loky")
        self.ahead = 1 if self._backend is None else 2
        self.size = count * BLOCKS * (3 - self.ahead)
        self._return_as = "list" if self._backend is None else "generator_unordered"
        self._kept: Any = None
        self._idle: list[Any] = []
        self._local = local
        threads = threads_of(count, joblib.cpu_count(), os.environ) if local else None
        data = _pickled(function, "the task or its settings")
        home = _HOME, get_ident() if count > 1 else None
        self._errand = _Errand(hashlib.sha256(data).hexdigest(), home, os.getpid() if local else None, threads)
        self._data = _shared(data)

    def start(self, blocks: Sequence[Block[Item]]) -> _Wave[Item, Found]:
        """Send blocks on their way."""
        from joblib import Parallel, delayed, parallel_config

        calls = [
            delayed(_run)(self._errand, self._data, place, _pickled(block, "an input"))
            for place, block in enumerate(blocks)
        ]
        settings = {"n_jobs": self._workers, "batch_size": 1, "pre_dispatch": "all", "return_as": self._return_as}
        if self._backend is None:
            return _Wave(blocks, iter(self._listed(calls, settings)))
        with _sheltered():
            if self._idle:
                parallel = self._idle.pop()
            else:
                with parallel_config(backend=self._backend()):
                    parallel = Parallel(**settings)
                if self._local:
                    # else loky notes a folder for each call, and never forgets it
                    parallel.__enter__()
            try:
                results = parallel(calls)
            except Exception as error:
                if not _killed(error):
                    raise
                # a worker died of the wave before, as this one was sent: nothing comes back of it
                results = iter(())
            return _Wave(blocks, results, parallel)

    def done(self, wave: _Wave[Item, Found]) -> None:
        """Wait for no more of a wave; if all is well, what sent it may send another."""
        wave.close()
        if self._local and wave.whole:
            self._idle.append(wave.parallel)
        elif self._local and wave.parallel is not None:
            wave.parallel.__exit__(None, None, None)

    def _listed(self, calls: Sequence[Any], settings: dict[str, Any]) -> list[Any]:
        """The results of a backend that gives back lists; its workers, with their models, stay until one has died."""
        from joblib import Parallel

        if self._kept is None:
            self._kept = Parallel(**settings)
            self._kept.__enter__()
        try:
            results = list(self._kept(calls))
        except Exception as error:
            if not _killed(error):
                raise
            results = [error]
        if any(isinstance(one, Exception) for one in results):
            self.close()  # its workers are not replaced
        return results

    def close(self) -> None:
        """Let go of what was kept."""
        while self._idle:
            self._idle.pop().__exit__(None, None, None)
        if self._kept is not None:
            kept, self._kept = self._kept, None
            kept.__exit__(None, None, None)

    def wait(self, wave: _Wave[Item, Found], place: int) -> None:
        """Until a block has its answer; if a worker dies, until all blocks of the wave have theirs."""
        while place not in wave.found:
            if self._read(wave):
                continue
            missing = [(number, 0, wave.blocks[number]) for number in range(place, len(wave.blocks))]
            missing = [one for one in missing if one[0] not in wave.found]
            for number, _, block, outcome in sorted(self._rescued(missing), key=lambda one: one[:2]):
                wave.found.setdefault(number, []).append((block, outcome))

    def _read(self, wave: _Wave[Item, Found]) -> bool:
        """Read one result; False if a worker died instead, or no more come."""
        try:
            wave.read()
        except StopIteration:
            return False
        except Exception as error:
            wave.unmanned |= isinstance(error, _UnmannedError)
            if not (wave.unmanned or _killed(error)):
                raise
            return wave.goes_on
        return True

    def _tried(self, blocks: Sequence[Block[Item]]) -> _Wave[Item, Found]:
        """Blocks run together, up to the death of a worker; a cluster that lost its workers may take time to get more.

        Raises:
            RuntimeError: it takes too much.
        """
        for _ in range(_WAITS):
            wave = self.start(blocks)
            try:
                while len(wave.found) < len(blocks) and self._read(wave):
                    pass
            finally:
                self.done(wave)
            if not wave.unmanned:
                return wave
        raise RuntimeError("the cluster has no two workers any more: start them again, and go on with what is left")

    def _rescued(
        self, blocks: Sequence[tuple[int, int, Block[Item]]]
    ) -> list[tuple[int, int, Block[Item], Outcome[Found]]]:
        """Blocks that were in flight when a worker died, with what came of them, in no order.

        They are halved, and what dies again is halved again: others are answered as they would have been.

        Args:
            blocks: the place of each in its wave, the place of its first input in the block that it is of, itself.
        """
        if len(blocks) > 1:
            middle = len(blocks) // 2
            halves = [blocks[:middle], blocks[middle:]]
        else:
            ((place, first, block),) = blocks
            if len(block) == 1:
                return [(place, first, block, self._alone(block))]
            middle = len(block) // 2
            halves = [[(place, first, block[:middle])], [(place, first + middle, block[middle:])]]
        found: list[tuple[int, int, Block[Item], Outcome[Found]]] = []
        for half in halves:
            came = self._tried([block for _, _, block in half]).found
            for number, own in came.items():
                place, first, _ = half[number]
                found += [(place, first, block, outcome) for block, outcome in own]
            missing = [one for number, one in enumerate(half) if number not in came]
            if missing:
                found += self._rescued(missing)
        return found

    def _alone(self, block: Block[Item]) -> Outcome[Found]:
        """What comes of one input, alone on the workers."""
        for _ in range(TRIES):
            if came := self._tried([block]).found:
                return came[0][0][1]
        if not self._tried([()]).found:
            raise RuntimeError(
                "workers die before they are given an input: there is too little memory for so many copies of the "
                "models, or they cannot start; take fewer workers"
            )
        return Failed(LOST)


@final
@dataclass(frozen=True)
class _Errand:
    """What goes with every block.

    Attributes:
        digest: of the pickled function.
        home: the process that sends it, and the thread, which is not to run it: joblib does so as long as a cluster has
            no more than one worker left, and a block that kills would end the run.
        parent: whose child the worker is, if it is a process of this machine that works for nobody else.
        threads: of torch in the worker; None leaves them as they are.
    """

    digest: str
    home: tuple[str, int | None]
    parent: int | None
    threads: int | None


def _run(errand: _Errand, data: Any, place: int, block: bytes) -> tuple[int, Any]:
    """In the worker: what becomes of a block."""
    try:
        if errand.home == (_HOME, get_ident()):
            time.sleep(_PATIENCE)
            return place, _UnmannedError()
        if errand.home[0] != _HOME:
            settle(errand.threads, errand.parent)
        function = _function(errand.digest, data)
        inputs = pickle.loads(block)
        return place, Answered(function(inputs) if inputs else None)
    except Exception as error:
        return place, Failed(said(error))
    except BaseException as error:
        return place, _Raised(_portable(error))


_FUNCTIONS: OrderedDict[str, Callable[[Any], Any]] = OrderedDict()
_TURN = Lock()


def _function(digest: str, data: Any) -> Callable[[Any], Any]:
    """The function, unpickled once a process; of those that it had, a worker keeps two."""
    with _TURN:
        if digest not in _FUNCTIONS:
            _FUNCTIONS[digest] = pickle.loads(memoryview(data))
            while len(_FUNCTIONS) > 2:
                _FUNCTIONS.popitem(last=False)
        _FUNCTIONS.move_to_end(digest)
        return _FUNCTIONS[digest]


def _pickled(value: Any, what: str) -> bytes:
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise TypeError(
            f"{what} cannot be sent to another process ({said(error)}): {shown(value)}; leave workers= away, or pass "
            "what can be pickled"
        ) from error


def _shared(data: bytes) -> Any:
    """Data as joblib knows to send it once to a machine, where that is worth it."""
    if len(data) < _LARGE:
        return data
    import numpy as np

    return np.frombuffer(data, dtype=np.uint8)


def _killed(error: BaseException) -> bool:
    """Whether an error says that a worker died."""
    return any(kind.__name__ in _KILLED for kind in type(error).__mro__)


def _portable(error: BaseException) -> BaseException:
    """The error, if it outlives the way; else what it says."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


@contextmanager
def _sheltered() -> Iterator[None]:
    """Processes that start meanwhile never hear Ctrl-C, which is for the one that started them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
