"""A command that asks a server: the same answers, errors and exit codes as without one."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli import stub
from tests.cli.stub import call
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch import Generations, tasks
from textsearch.cli.server.answering import Answering, Held, checked
from textsearch.cli.server.http import Server
from textsearch.cli.server.wire import LARGEST, Address, Asked, announce, announced, note_of, withdraw
from textsearch.service import Limits
from textsearch.service.queueing import Places

ROOT = Path(__file__).parents[2]
_SECONDS = re.compile(r"in \d+ s|\d+\.\d+ s\b")


@contextmanager
def serving(**settings: Any) -> Iterator[Server]:
    """A server in a thread, that commands of this process and of others find."""
    server = Server("127.0.0.1", 0, **settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    announce(Address(server.url, server.token))
    try:
        yield server
    finally:
        withdraw()
        server.end_all()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEXTSEARCH_SERVER_TOKEN", raising=False)


LINES = [
    ["keywords", "dog park", "hot dog, park"],
    ["keywords", "dog park", "--json", "--top", "2", "--seed", "3"],
    ["paraphrase", "a", "b!", "c", "--jsonl", "--batch-inputs", "2"],
    ["paraphrase", "a!", "b!"],
    ["paraphrase", "a", " ", "c", "--jsonl"],
    ["correct", "a", "--report", "--keep", "words.txt"],
    ["infill", "The [MASK].", "--json", "--quiet"],
    ["write", '{"prefix": "A"}', '{"no": 1}', "--words", "3-9", "--jsonl"],
    ["sample", "--prompt", "a", "--choices", "x,y", "--json"],
    ["keywords", "dog", "--steps", "-1"],
    ["keywords"],
    ["paraphrase", "--file", "missing.txt"],
]


@pytest.mark.usefixtures("stubbed")
def test_all_that_is_printed_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("kubectl\n")
    with serving():
        for line in LINES:
            here, there = call(*line), call(*line, "--server")
            assert (there.exit_code, there.stdout) == (here.exit_code, here.stdout), line
            assert _SECONDS.sub("", there.stderr) == _SECONDS.sub("", here.stderr), line
        # the control: the answers came from the server, which this command does not reach
        withdraw()
        assert call(*LINES[0], "--server").exit_code == 2


@pytest.mark.usefixtures("stubbed")
def test_a_file_of_answers_is_the_same_and_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a\nb!\n\nc\nd\ne\n")
    line = ["paraphrase", "--file", str(tmp_path / "in.txt"), "--batch-inputs", "2", "--quiet", "--output"]
    with serving():
        here, there = (tmp_path / f"{name}.jsonl" for name in ("here", "there"))
        codes = call(*line, str(here)).exit_code, call(*line, str(there), "--server").exit_code
        assert codes == (0, 0) and here.read_bytes() == there.read_bytes()
        whole = there.read_bytes()
        there.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
        stub.calls.clear()
        assert call(*line, str(there), "--server").exit_code == 0 and there.read_bytes() == whole
        assert [inputs for inputs, _ in stub.calls] == [["c", "d"], ["e"]]
        # a file that a command began alone is gone on with by a server
        assert Path(f"{there}.settings.json").read_bytes() == Path(f"{here}.settings.json").read_bytes()


def test_the_bytes_of_real_models(tiny: Tiny) -> None:
    """Cold, and by models that have read the same and other texts before."""
    models = ["--causal", str(tiny.causal_path), "--masked", str(tiny.masked_path)]
    lines = [
        ["infill", text, *models, "--steps", "4", "--json", "--quiet"] for text in ("A [MASK] sat.", "The [MASK].")
    ]
    held = Held.of({"causal": [str(tiny.causal_path)], "masked": [str(tiny.masked_path)]})
    with serving(held=held):
        there = [call(*line, "--server").stdout for line in (*lines, *lines)]
    assert there[:2] == there[2:] == [call(*line).stdout for line in lines]
    assert there[0] != there[1] and json.loads(there[0])[0]["energy"] != 0


def test_another_model_by_the_same_name_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny.masked_path, tmp_path / "model"))
    line = ["infill", "A [MASK] sat.", "--causal", str(tiny.causal_path), "--masked", str(folder), "--steps", "1"]
    with serving(held=Held.of({"causal": [str(tiny.causal_path)], "masked": [str(folder)]})):
        assert call(*line, "--server").exit_code == 0
        config = folder / "config.json"
        config.write_bytes(config.read_bytes() + b" ")
        found = call(*line, "--server")
    assert found.exit_code == 2 and "is another model there than here" in found.stderr, found.stderr


@pytest.mark.usefixtures("stubbed")
def test_what_a_server_refuses() -> None:
    with serving(limits=Limits(steps=100, chains=8, characters=20, inputs=2)) as server:
        for line, message in (
            (["--steps", "101"], "steps=101 is above the limit of 100 of this service"),
            (["--chains", "9"], "chains=9 is above the limit of 8"),
            (["x" * 21], "has 21 characters, above the limit of 20 of this service: shorten it"),
            (["b", "c"], "inputs=3 is above the limit of 2"),
            (["--causal", "gpt2"], "causal='gpt2' is no model that it was started with (no other than the default)"),
        ):
            found = call("paraphrase", "a", *line, "--server")
            assert found.exit_code == 2 and f"error: the server at {server.url} refuses: " in found.stderr
            assert message in found.stderr and found.stdout == ""
        assert stub.calls == []
        server.limits = replace(server.limits, runs=1)
        server.runs["other"] = Answering(Asked(command="paraphrase", inputs=["a"]), {}, server.turn)
        found = call("paraphrase", "a", "--server")
        server.runs.clear()
        assert found.exit_code == 1 and "1 commands wait for answers, the limit of this server" in found.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--server"], "no server runs on this machine: start one with: textsearch serve; or leave --server out"),
        (["--server", "http://127.0.0.1:9"], "no server answers at http://127.0.0.1:9 (Connection refused): start one"),
        (["--server=127.0.0.1:9"], "'127.0.0.1:9' is no address of a server: write http://127.0.0.1:8760, or local"),
        (["--server=http://127.0.0.1:port"], "is no address of a server"),
        (["--server", "--workers", "2"], "--workers is of processes on this machine: leave it or --server out"),
        (["--server", "--checkpoint", "x"], "--checkpoint is of processes on this machine"),
    ],
)
def test_a_server_that_is_not_there(more: list[str], message: str) -> None:
    found = call("paraphrase", "a", *more)
    assert found.exit_code == 2 and message in found.stderr and found.stdout == ""


def test_a_killed_server_is_told() -> None:
    """One that ends in the middle of what it says, as a process that is killed does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                lines = b'{"run": "a"}\n{"record": {"texts": [{"text": "b", "energy": 1.0, "terms": {}}]}}\n{"steps"'
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + lines)

        thread = threading.Thread(target=answer)
        thread.start()
        found = call("paraphrase", "a", "c", "--server", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert found.exit_code == 1 and found.stdout == "a\n    1.00  b\n"
    assert "ended before the command: start it again with: textsearch serve; then run" in found.stderr
    # what it left behind leads nowhere, and that is told too
    with serving() as closed:
        note = note_of().read_bytes()
    note_of().write_bytes(note)
    found = call("paraphrase", "a", "--server")
    assert found.exit_code == 2 and f"no server answers at {closed.url}" in found.stderr


def waits(inputs: Sequence[Any], *, callbacks: Any = (), seed: int = 0, **settings: Any) -> Generations:
    """Steps until somebody ends it."""
    from samplers import MetropolisHastings
    from textsearch import generate

    def mark(progress: Any) -> None:
        if progress.step == 2:
            Path(os.environ["TEXTSEARCH_CACHE"], "running").touch()

    sampler = MetropolisHastings(stub.MOVES)
    return generate(stub.FEW_B, sampler, ["abc"] * len(inputs), steps=10**9, seed=seed, callbacks=[*callbacks, mark])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_gives_what_there_is(number: int, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub.put_in_place(monkeypatch, waits)
    with serving() as server:
        client = subprocess.Popen(
            [sys.executable, "-m", "textsearch", "paraphrase", "a", "b", "--jsonl", "--server"],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            until(lambda: (tmp_path / "cache" / "running").exists())
            client.send_signal(number)
            out, err = client.communicate(timeout=60)
        finally:
            client.kill()
        records = [json.loads(line) for line in out.splitlines()]
        assert client.returncode == code
        assert [(one["number"], one["interrupted"]) for one in records] == [(0, True), (1, True)]
        assert all(one["texts"] for one in records) and err.splitlines()[-1].startswith("interrupted: 2 of 2")
        until(lambda: not server.runs)


def test_a_server_that_is_ended_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    stub.put_in_place(monkeypatch, waits)
    with serving() as server:

        def end() -> None:
            until(lambda: bool(server.runs))
            server.end_all()

        ending = threading.Thread(target=end)
        ending.start()
        found = call("paraphrase", "a", "--server")
        ending.join()
    assert found.exit_code == 1 and found.stdout == ""
    assert "error: the server was ended before the command: start it again with: textsearch serve" in found.stderr


def test_a_run_ends_when_its_command_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    stub.put_in_place(monkeypatch, waits)
    with serving() as server:
        connection = ask(server, Asked(command="paraphrase", inputs=["a"], progress=True).json())
        assert connection.getresponse().status == 200
        until(lambda: bool(server.runs))
        connection.close()
        until(lambda: not server.runs)


def until(holds: Any) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def ask(server: Server, body: bytes, path: str = "/v1/runs", **headers: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, body=body, headers={"Content-Type": "application/json", **named})
    return connection


@pytest.mark.parametrize("command", ["serve", "studio"])
@pytest.mark.parametrize("token", ["", "short", "with a space", "größe-größe"])
def test_a_token_that_is_none_is_refused(command: str, token: str) -> None:
    found = call(command, "--token", token)
    assert found.exit_code == 2 and "8 characters or more" in found.stderr


@pytest.mark.usefixtures("stubbed")
def test_who_may_ask() -> None:
    body = Asked(command="paraphrase", inputs=["a"]).json()
    with pytest.raises(ValueError, match=r"host='0.0.0.0' can be reached by others: use 127.0.0.1"):
        Server("0.0.0.0", 0)
    with serving(token="secret-token") as server:
        for headers, status in (({}, 401), ({"Authorization": "Bearer other"}, 401)):
            assert ask(server, body, **headers).getresponse().status == status
        assert ask(server, body, Authorization="Bearer secret-token").getresponse().status == 200
        assert note_of().stat().st_mode & 0o077 == 0
        # the command finds the token with the address, by either way
        assert call("paraphrase", "a", "--server").exit_code == 0
        assert call("paraphrase", "a", "--server", server.url).exit_code == 0
        withdraw()
        found = call("paraphrase", "a", "--server", server.url)
        assert found.exit_code == 2 and "it wants its token: set TEXTSEARCH_SERVER_TOKEN" in found.stderr
    with serving() as server:
        # another site's page: by its name, or by a form
        assert ask(server, body, Host="evil.example").getresponse().status == 403
        assert ask(server, body, Content_Type="text/plain").getresponse().status == 415
        assert ask(server, body, Content_Length=str(LARGEST + 1)).getresponse().status == 413
        assert ask(server, body, "/v2").getresponse().status == 404
        assert ask(server, b"{}", "/v1/runs/none/stop").getresponse().read() == b'{"stopped": false}'
        for wrong, message in (
            (b"{", "is no JSON"),
            (b"[]", "is no request"),
            (b'{"inputs": []}', "has no command"),
            (b'{"command": "paraphrase", "inputs": "a"}', "inputs='a' is no"),
            (b'{"command": "mine", "inputs": []}', "there is no command 'mine' here"),
            (b'{"command": "paraphrase", "inputs": [], "versions": {}}', "answers may differ"),
            (body.replace(b'"settings": {}', b'"settings": {"checkpoint": "/tmp"}'), "has no setting 'checkpoint'"),
            (body.replace(b'"settings": {}', b'"settings": {"steps": "a"}'), "steps='a' must be a whole number"),
        ):
            answer = ask(server, wrong).getresponse()
            assert answer.status == 422 and message in json.loads(answer.read())["error"]
        assert announced() is not None


def test_words_to_keep_are_sent_and_no_file_is_read() -> None:
    asked = Asked(command="correct", inputs=["a"], settings={"keep": "/etc/hostname"})
    with pytest.raises(ValueError, match="must be true, false or a list of words: no files are read here"):
        checked(asked, Held(), Limits())
    asked = Asked(command="keywords", inputs=[["a"]], settings={"sentences": "/etc/hostname"})
    with pytest.raises(ValueError, match="must be a list: no files are read here"):
        checked(asked, Held(), Limits())


def test_groups_of_commands_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """First come, first served: whoever is answered stands behind the others again."""
    order: list[str] = []
    turn, both = Places(1), threading.Barrier(3, timeout=30)

    def task(inputs: Sequence[Any], **settings: Any) -> Any:
        order.append(str(inputs[0])[0])
        if len(order) == 1:
            until(lambda: turn.waiting == 1)
        return stub.task(inputs)

    monkeypatch.setattr(tasks, "paraphrase", task)

    def run(name: str) -> None:
        asked = Asked(command="paraphrase", inputs=[f"{name}{place}" for place in range(3)], batch_inputs=1)
        both.wait()
        Answering(asked, {"seed": 0}, turn).run(lambda event: None)

    threads = [threading.Thread(target=run, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    both.wait()
    for thread in threads:
        thread.join()
    assert "".join(order) in ("xyxyxy", "yxyxyx")
