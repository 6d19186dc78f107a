"""A page over runs of letters, or over real ones, in a process of its own: python -m tests.studio.serve FOLDER WAIT."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def served(
    folder: Path, *, port: int = 0, wait: float = 0.01, real: bool = False, token: str = ""
) -> Iterator[tuple[str, int]]:
    """The address of a page, and the number of its process, which is killed at the end."""
    if real:
        command = [sys.executable, "-m", "textsearch", "studio", "--folder", str(folder), "--port", str(port)]
        command += ["--token", token] if token else []
    else:
        command = [sys.executable, "-m", "tests.studio.serve", str(folder), str(port), str(wait)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "http://" in line:
                yield "http://" + line.split("http://")[1].split()[0], process.pid
                return
        raise AssertionError("".join(said))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr and process.stderr.close()


def main(folder: str, port: str, wait: str) -> None:
    """Serve until killed."""
    import uvicorn

    from tests.service.toys import build
    from textsearch.service import Limits, Service
    from textsearch.studio.app import application
    from textsearch.studio.listening import listening

    for _ in range(50):
        try:
            socket = listening("127.0.0.1", int(port))
            break
        except OSError:
            time.sleep(0.1)
    service = Service(folder, make=partial(build, wait=float(wait)), limits=Limits(running=2))
    print(f"http://127.0.0.1:{socket.getsockname()[1]}/ ", file=sys.stderr, flush=True)
    uvicorn.Server(uvicorn.Config(application(service, folders=True), log_level="error")).run(sockets=[socket])


if __name__ == "__main__":
    main(*sys.argv[1:])
