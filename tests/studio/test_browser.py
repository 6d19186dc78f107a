"""The page in a real browser: started, watched, paused, stepped, resumed, opened again, taken away, killed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.studio.browser import chromium, visitor
from tests.studio.serve import ROOT, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("runs"), wait=0.02) as (where, _):
        yield where


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    one = visitor(browser, viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    one.on("pageerror", lambda error: errors.append(str(error)))
    one.goto(address)
    one.wait_for_selector("#field-kind")
    yield one
    one.close()
    assert errors == []


def begin(page: Any, steps: int, button: str = "Start", seed: int = 0) -> None:
    page.select_option("#field-kind", "paraphrase")
    page.fill("#field-steps", str(steps))
    page.fill("#field-chains", "3")
    page.fill("#field-seed", str(seed))
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_selector(".run .state[data-state]")


def state(page: Any, wanted: str) -> None:
    page.wait_for_selector(f".run .state[data-state={wanted}]", timeout=20_000)


def step_of(page: Any) -> int:
    found = re.search(r"step (\d+)", page.text_content(".run .numbers"))
    return int(found[1]) if found else 0


def test_start_watch_look(page: Any) -> None:
    begin(page, 40)
    page.wait_for_selector(".chain")
    assert page.locator(".chain").count() == 3
    state(page, "done")
    page.wait_for_function("document.querySelector('.run .numbers').textContent.includes('40 / 40')")
    # each look at a step tells the proposal, log q both ways and every term
    for step in (3, 17, 31):
        page.locator(".run input[type=range]").fill(str(step))
        page.wait_for_function(f"document.querySelector('.pick output').textContent === 'step {step}'")
        look = page.text_content(".pick + .look")
        assert all(said in look for said in ("log q(x′|x), forward", "log q(x|x′), backward", "log ratio", "b"))
    assert page.locator(".chain .yes, .chain .no").count() > 0
    page.wait_for_selector("[data-chart=r_hat] svg")
    page.wait_for_selector("[data-chart=ess] svg path")
    assert page.locator(".run table caption").count() == 1


@pytest.mark.parametrize(
    "terms", [{"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2.0, "whole": 4.0}, {}], ids=["the same", "another energy", "none"]
)
def test_answers_say_what_their_energies_are_made_of(page: Any, terms: dict[str, float]) -> None:
    """The last search of a task may judge by more than the one that was stopped."""
    row = {"text": "ab", "energy": sum(terms.values())} | ({"terms": terms} if terms else {})
    page.route("**/files/texts.jsonl", lambda route: route.fulfill(body=json.dumps(row) + "\n"))
    begin(page, 5)
    state(page, "done")
    page.wait_for_selector(".answers li")
    said = page.text_content(".answers")
    assert " + ".join(f"{name} {value:.2f}" for name, value in terms.items()) in said
    assert ("by terms of its own" in said) == ("whole" in terms)


def test_pause_step_resume_stop_by_keyboard(page: Any) -> None:
    begin(page, 400, "Start paused")
    state(page, "paused")
    for taken in (1, 2, 3):
        page.get_by_role("button", name="Step", exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_function(f"document.querySelector('.run .numbers').textContent.includes('step {taken} /')")
        state(page, "paused")
    page.get_by_role("button", name="Resume").press("Enter")
    state(page, "running")
    page.wait_for_function("Number(/step (\\d+)/.exec(document.querySelector('.run .numbers').textContent)[1]) > 6")
    page.get_by_role("button", name="Pause", exact=True).press(" ")
    state(page, "paused")
    page.wait_for_timeout(300)
    taken = step_of(page)
    page.wait_for_timeout(500)
    assert step_of(page) == taken
    page.get_by_role("button", name="Stop", exact=True).press("Enter")
    state(page, "stopped")
    page.wait_for_selector("a[href$='figure.svg']")


def test_a_closed_tab_stops_nothing_and_two_visitors_share(browser: Any, address: str) -> None:
    first, second = visitor(browser), visitor(browser, locale="zh-CN")
    for number, window in enumerate((first, second)):
        window.goto(address)
        window.wait_for_selector("#field-kind")
        window.select_option("#field-kind", "paraphrase")
        window.fill("#field-steps", "80")
        window.fill("#field-seed", str(number))
        window.click("button[type=submit].lead")
        window.wait_for_selector(".chain")
    assert "新建运行" in second.text_content("body")
    left = first.url
    first.close()
    state(second, "done")
    again = visitor(browser)
    again.goto(left)
    state(again, "done")
    again.close()
    second.close()


def test_nothing_is_left_in_english_on_the_chinese_page(browser: Any, address: str) -> None:
    page = visitor(browser, locale="zh-CN")
    page.goto(address)
    page.wait_for_selector("#field-kind")
    page.select_option("#field-kind", "write")
    labels = page.locator("#form label").all_text_contents()
    assert len(labels) > 10 and [one for one in labels if not re.search("[\u4e00-\u9fff]", one)] == []
    page.select_option("#field-kind", "paraphrase")
    page.fill("#field-steps", "4")
    page.fill("#field-chains", "2")
    page.click("button[type=submit].lead")
    state(page, "done")
    page.wait_for_selector("[data-chart=r_hat] p")
    assert "需要 8 步" in page.text_content("[data-chart=r_hat]")
    assert "替换" in page.text_content(".chain .head")
    page.close()


@pytest.mark.parametrize(
    ("points", "paths"),
    [
        ("[[1, NaN], [2, null], [3, 'inf'], [4, Infinity], [5, -Infinity], [6, undefined]]", 0),
        ("[]", 0),
        ("[[1, NaN], [2, 3.5]]", 1),
        ("[[1, 2], [2, 2], [3, null], [4, 2]]", 1),
        ("[...Array(1000).keys()].map((at) => [at, at % 7 ? at * 1e300 : NaN])", 1),
    ],
)
def test_charts_leave_out_what_is_no_number(page: Any, points: str, paths: int) -> None:
    lines = f"[{{ points: {points}, colour: 'red' }}]"
    drawn = page.evaluate(f"async () => (await import('/page/chart.js')).chart({lines}, 't').outerHTML")
    assert drawn.startswith("<svg") and drawn.count("<path") >= paths
    assert not any(said in drawn for said in ("NaN", "Infinity", "undefined", "null"))


def test_side_by_side(page: Any) -> None:
    page.select_option("#field-kind", "paraphrase")
    page.select_option("#field-second", "multiple-try")
    page.click("button[type=submit].lead")
    page.wait_for_function("document.querySelectorAll('.run .state[data-state=done]').length === 2", timeout=20_000)
    assert page.locator("#runs.pair .run").count() == 2


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("#field-input", "bad", "bad is no text of letters"), ("#field-input", "x" * 2500, "above the limit of 2,000")],
)
def test_bad_input_is_told(page: Any, field: str, value: str, said: str) -> None:
    page.select_option("#field-kind", "paraphrase")
    page.fill(field, value)
    page.click("button[type=submit].lead")
    page.wait_for_function(
        "said => [...document.querySelectorAll('.error')].some(one => one.textContent.includes(said))", arg=said
    )


def test_an_expression_without_an_end_is_refused(page: Any) -> None:
    page.select_option("#field-kind", "energy")
    page.select_option("#add-term", "Pattern")
    page.locator("#field-term-3-pattern").fill(r"(a+)\1$")
    page.click("button[type=submit].lead")
    page.wait_for_function("document.getElementById('form-error').textContent.includes('backtracking')")


def test_a_run_folder_is_opened(page: Any, tmp_path: Path) -> None:
    from tests.service.toys import asked, build, over
    from textsearch.service import Service

    with Service(tmp_path, make=build) as service:
        run = over(service.submit(asked()))
    page.fill("[name=folder]", str(tmp_path))
    page.get_by_role("button", name="Open").click()
    page.wait_for_selector("#open .error:not(:empty)")
    page.fill("[name=folder]", str(run.folder))
    page.get_by_role("button", name="Open").click()
    state(page, "done")
    page.wait_for_selector(".chain")
    assert page.locator(".chain").count() == 2


def test_a_killed_server_goes_on(browser: Any, tmp_path: Path) -> None:
    page = visitor(browser)
    with served(tmp_path, wait=0.02) as (where, process):
        page.goto(where)
        page.wait_for_selector("#field-kind")
        begin(page, 150)
        page.wait_for_function("/step (\\d{2,})/.test(document.querySelector('.run .numbers').textContent)")
        os.kill(process, signal.SIGKILL)
        page.wait_for_function("document.querySelector('.run .error').textContent.includes('does not answer')")
    with served(tmp_path, wait=0.02, port=int(where.rstrip("/").rpartition(":")[2])):
        # the same tab goes on by itself
        state(page, "done")
        page.wait_for_function("document.querySelector('.run .numbers').textContent.includes('150 / 150')")
    page.close()


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_screen(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    begin(page, 10)
    state(page, "done")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_taken_away_makes_the_run_again(browser: Any, tmp_path: Path) -> None:
    """An energy of real terms on the packaged masked model: the program and the command print the same bits."""
    with served(tmp_path, real=True) as (where, _):
        page = visitor(browser)
        page.goto(where)
        page.wait_for_selector("#field-kind")
        page.select_option("#field-kind", "energy")
        page.get_by_role("button", name="Remove Fluency").click()
        page.fill("#field-steps", "12")
        page.fill("#field-chains", "2")
        page.click("button[type=submit].lead")
        page.wait_for_selector(".run .state[data-state=done]", timeout=120_000)
        name = page.get_attribute(".run", "data-run")
        files = {
            kind: page.request.get(f"{where}api/runs/{name}/files/{kind}").text() for kind in ("run.py", "command.txt")
        }
        rows = page.request.get(f"{where}api/runs/{name}/files/texts.jsonl").text()
        assert page.request.get(f"{where}api/runs/{name}/files/texts.csv").text().count("\n") == rows.count("\n") + 1
        assert "<svg" in page.request.get(f"{where}api/runs/{name}/files/figure.svg").text()
        page.close()
    texts = [json.loads(line) for line in rows.splitlines()]
    program, *words = shlex.split(files["command.txt"])
    assert program == "textsearch"
    for command in ([sys.executable, "-c", files["run.py"]], [sys.executable, "-m", "textsearch", *words]):
        again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert [json.loads(line) for line in again.splitlines()] == texts


def fetched(address: str, **headers: str) -> int:
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_token_is_needed_where_one_was_given(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path, token="a-secret", real=True) as (where, _):
        root = where.partition("?")[0]
        assert where.endswith("?token=a-secret")
        for path in ("", "api/runs", "page/main.js"):
            assert fetched(root + path) == 401
            assert fetched(root + path, Authorization="Bearer wrong") == 401
            assert fetched(root + path, Authorization="Bearer a-secret") == 200
        page = visitor(browser)
        page.goto(where)
        page.wait_for_selector("#field-kind")
        assert "a-secret" not in page.url and page.locator("#open").is_hidden()
        page.close()


def test_another_site_cannot_reach_a_page_without_a_token(address: str) -> None:
    assert fetched(address + "api/runs", Host="evil.example") == 401
    # what a form of another site could send
    request = urllib.request.Request(address + "api/runs", data=b"{}", headers={"Content-Type": "text/plain"})
    with pytest.raises(urllib.error.HTTPError, match="415"):
        urllib.request.urlopen(request)
