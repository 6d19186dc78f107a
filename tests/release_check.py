"""What is released is tried as a stranger gets it: built, installed into empty environments, and used as README says.

    make release-check

Wheel and sdist are built; each is installed into an environment of its own. What it needs is that of the environment
this runs in, by a .pth, so that nothing large is fetched; with --fetch pip fetches all of it. Then the extras' markers
of types are looked for, the code blocks of README run in their order, its commands run and print what README prints,
and the template of plug-ins is installed beside it and its laws hold. The default models must be in the cache.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

ROOT = Path(__file__).parents[1]
PROBE = """
import importlib.resources, textsearch, samplers, objectives
for package in (textsearch, samplers, objectives):
    assert (importlib.resources.files(package) / "py.typed").is_file(), package
print(textsearch.__file__)
"""
_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
_OWN_MODEL = "path/of/a/model"
"""How README names a model of the reader's own; here it is the default causal one."""


@final
@dataclass(frozen=True)
class Snippet:
    """Something that README shows.

    Attributes:
        line: of README, where it begins.
        code: Python, or empty.
        command: of a shell, or empty.
        output: that README prints below the command; empty where it prints none.
    """

    line: int
    code: str = ""
    command: str = ""
    output: str = ""


def snippets(page: str) -> Iterator[Snippet]:
    """Blocks of Python and commands of textsearch, in their order; `make` is for a clone, and tried by itself.

    >>> page = "```\\n$ textsearch doctor\\nok\\n```\\n\\n```python\\nprint(1)\\n```\\n\\n```\\nmake test\\n```\\n"
    >>> [(one.command, one.output, one.code) for one in snippets(page)]
    [('textsearch doctor', 'ok\\n', ''), ('', '', 'print(1)\\n')]
    """
    for block in _BLOCK.finditer(page):
        line = page[: block.start()].count("\n") + 2
        if block["kind"] == "python":
            yield Snippet(line, code=block["text"])
            continue
        command, output = "", ""
        for text in block["text"].splitlines(keepends=True):
            said = text.removeprefix("$ ")
            if said.startswith("textsearch ") and (text.startswith("$ ") or not command):
                if command:
                    yield Snippet(line, command=command, output=output)
                command, output = said.strip(), ""
            elif command:
                output += text
        if command:
            yield Snippet(line, command=command, output=output)


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """What a command prints; its standard error is shown if it fails."""
    parts = [str(part) for part in command]
    done = subprocess.run(parts, capture_output=True, text=True, cwd=cwd, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(parts)} left with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(folder: Path, fetch: bool) -> Path:
    """The Python of an empty environment that sees, unless all is to be fetched, the libraries of this one."""
    venv.create(folder, with_pip=fetch)
    if not fetch:
        site = next((folder / "lib").glob("python*/site-packages"))
        # of a folder that is named here no .pth is read: an editable installation of this one is not seen
        (site / "libraries.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return folder / "bin" / "python"


def install(python: Path, target: Path, extras: str, fetch: bool, cwd: Path) -> None:
    """Install an artifact or a folder."""
    options = [] if fetch else ["--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall"]
    what = f"{target}[{extras}]" if extras and fetch else str(target)
    run(python, "-m", "pip", "install", "--quiet", *options, what, cwd=cwd)


def use(python: Path, folder: Path, *, models: bool) -> None:
    """All that README says, as printed."""
    program = "textsearch"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env["PATH"] = f"{python.parent}{os.pathsep}{env['PATH']}"
    found = Path(run(python, "-c", PROBE, cwd=folder, env=env).strip())
    if ROOT in found.parents:
        raise SystemExit(f"{found} is the source, and not what was installed")
    print(f"  installed, with the markers of types: {found.parent}", flush=True)
    shown = list(snippets((ROOT / "README.md").read_text(encoding="utf-8")))
    code = "".join(one.code for one in shown)
    compile(code, "README.md", "exec")
    if not models:
        print(f"  {len(shown)} snippets of README are looked at, and not run")
    else:
        where = "from textsearch.models.checkpoints.default import smollm2_folder; print(smollm2_folder())"
        own = folder / _OWN_MODEL
        own.parent.mkdir(parents=True)
        own.symlink_to(run(python, "-c", where, cwd=folder, env=env).strip())
        (folder / "readme.py").write_text(code, encoding="utf-8")
        run(python, "readme.py", cwd=folder, env=env)
        print("  the Python of README runs", flush=True)
    for one in shown:
        if not one.command:
            continue
        words = shlex.split(one.command, comments=True)
        if words[0] != program:
            continue
        run(python.parent / program, words[1], "--help", cwd=folder, env=env)
        if models:
            printed = run(python.parent / program, *words[1:], cwd=folder, env=env)
            if one.output and printed != one.output:
                raise SystemExit(f"README, line {one.line}: {one.command} prints\n{printed}and not\n{one.output}")
            print(f"  {one.command}", flush=True)


def main(given: Sequence[str] | None = None) -> None:
    """Build, install, use."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetch", action="store_true", help="let pip fetch all that the package needs, torch too")
    parser.add_argument("--no-models", action="store_true", help="run nothing that loads a model")
    told = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="textsearch-release-") as temporary:
        folder = Path(temporary)
        run(sys.executable, "-m", "hatchling", "build", "-d", folder / "dist", cwd=ROOT)
        for artifact in sorted((folder / "dist").iterdir()):
            print(artifact.name, flush=True)
            own = folder / f"env{artifact.suffix}"
            python = environment(own, told.fetch)
            install(python, artifact, "default-models,tasks", told.fetch, folder)
            work = folder / f"work{artifact.suffix}"
            work.mkdir()
            use(python, work, models=not told.no_models)
            install(python, ROOT / "plugin_template", "test", told.fetch, folder)
            env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            laws = ROOT / "plugin_template" / "tests"
            run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", laws, laws, cwd=work, env=env)
            print("  the template of plug-ins is installed, and its laws hold", flush=True)


if __name__ == "__main__":
    main()
