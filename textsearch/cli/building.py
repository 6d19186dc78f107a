"""How a task becomes a command: its options are the fields of its settings, with their defaults and their words."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from typing import Annotated, Any

import typer

from textsearch.cli import options
from textsearch.cli.answer import Shown, answer
from textsearch.cli.application import Command, app
from textsearch.cli.inputs import Input
from textsearch.cli.tally import Also
from textsearch.tasks.settings import RunSettings
from textsearch.waiting import waiting

Read = Callable[..., Sequence[Input]]
"""Makes the inputs of what the command line says."""

NOTHING: Mapping[str, Any] = types.MappingProxyType({})

PLAIN = {"bool": bool, "int": int, "float": float, "str": str, "str | None": str | None}
"""What a setting may be, as its dataclass says it, without saying how it is written on a command line."""


def command(
    settings: type[RunSettings],
    *,
    models: Sequence[str],
    top: int | None = 5,
    left_out: Collection[str] = (),
    written: Mapping[str, Mapping[str, Any]] = NOTHING,
    presets: Mapping[str, Mapping[str, Any]] = NOTHING,
    also: Callable[[], Also] | None = None,
    advice: Callable[[Sequence[Input]], str] = lambda inputs: "",
) -> Callable[[Read], Read]:
    """Add a task as a command, by the function that reads its inputs and bears its name.

    The command has the options of that function, one for each setting, one for each model, and those that all commands
    share. Of a setting that is a dataclass each field is an option. A parameter of the function without a default is
    no option of its own: it is given the setting, or the model, of its name.

    Args:
        settings: of the task.
        models: that it can be given by name.
        top: texts to print for each input, by default; None for all, and no option.
        left_out: settings that are Python's alone.
        written: setting -> what its option has besides, or in place of, what its type and its words say: "names", and
            arguments of `typer.Option`.
        presets: name of a flag -> the settings that it stands for; `written` has what they are good for.
        also: makes what --report says besides.
        advice: a line on what the inputs look like to have been meant as; empty for none.
    """

    def add(read: Read) -> Read:
        own = inspect.signature(read, eval_str=True).parameters
        more = settings_options(settings, left_out, written)
        more |= {} if top is None else {"top": (options.Top, top)}
        more |= {name: (options.MODELS[name], None) for name in models} | options.SHARED
        more |= {
            name: (Annotated[bool, _flag_of(name, own, written[name]["help"])], False) for name, own in presets.items()
        }
        parameters = [one for one in own.values() if one.default is not one.empty]
        # Python wants those that can be given by place first
        parameters = [one.replace(kind=one.KEYWORD_ONLY) for one in parameters]
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in more.items()
        ]

        def run(**said: Any) -> None:
            given = {name: said[name] for name in own}
            own_shown: dict[str, Any] = {field.name: said.get(field.name) for field in fields(Shown)}
            shown = Shown(**own_shown)
            told = {name: value for name, value in told_of(settings, said).items() if name not in left_out}
            told |= _preset(settings, {name: own for name, own in presets.items() if said[name]}, told)
            _check_together(settings, told, written)
            told |= {name: said[name] for name in models}
            # some commands load PyTorch for it; who types the inputs is not disturbed
            loads = "" if shown.server else ", loading PyTorch"
            with waiting(f"reading the inputs{loads}", not shown.quiet and str(said["file"]) != "-"):
                inputs = read(**given)
            answer(read.__name__, inputs, shown, file=said["file"], also=also and also(), advice=advice(inputs), **told)

        run.__name__, run.__doc__ = read.__name__, read.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        app.command(read.__name__, cls=Command)(run)
        return read

    return add


def settings_options(
    settings: type[Any], left_out: Collection[str] = (), written: Mapping[str, Mapping[str, Any]] = NOTHING
) -> dict[str, tuple[Any, Any]]:
    """Name -> annotation and default of the option of each setting.

    Raises:
        TypeError: a setting that is no plain value, and of which nothing says how it is written.

    >>> from textsearch.tasks.settings import Infilling
    >>> settings_options(Infilling)["lang"][1]
    'en'
    """
    said, found = words_of(settings), dict[str, tuple[Any, Any]]()
    for field in fields(settings):
        if field.name in left_out:
            continue
        if is_dataclass(field.default):
            found |= settings_options(type(field.default), left_out, written)
            continue
        how: dict[str, Any] = {"help": said.get(field.name), "callback": _check(settings, field, written)}
        how["rich_help_panel"] = "Settings"
        how |= {**options.WRITTEN.get(field.name, {}), **written.get(field.name, {})}
        kind = Any if "parser" in how else PLAIN.get(str(field.type))
        if kind is None:
            raise TypeError(
                f"{settings.__name__}.{field.name} is a {field.type}, which no option can be: leave it out, or say how "
                "it is written"
            )
        found[field.name] = (Annotated[kind, typer.Option(*how.pop("names", ()), **how)], field.default)
    return found


def told_of(settings: type[Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as the task takes them, of what the options said; what no option says is left out."""
    told = {}
    for field in fields(settings):
        if is_dataclass(field.default):
            inner: Any = type(field.default)
            told[field.name] = inner(**told_of(inner, said))
        elif field.name in said:
            told[field.name] = said[field.name]
    return told


def words_of(settings: type[Any]) -> dict[str, str]:
    """Name -> what the docstrings of a dataclass and of those that it derives from say of each attribute.

    >>> from textsearch.tasks.settings import Infilling
    >>> words_of(Infilling)["steps"], words_of(Infilling)["marks"]
    ('Steps of every chain.', 'A gap may be filled by a mark of punctuation too.')
    """
    found: dict[str, str] = {}
    for one in reversed(settings.__mro__):
        attributes = inspect.cleandoc(one.__doc__ or "").partition("Attributes:\n")[2]
        for name, text in re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE):
            # where it leads is a matter of Python
            text = re.sub(r"; see `\w+`", "", " ".join(text.split()))
            found[name] = text[0].upper() + text[1:]
    return found


def _flag_of(name: str, preset: Mapping[str, Any], good_for: str) -> Any:
    settings = ", ".join(f"{key} {value}" for key, value in preset.items())
    return typer.Option(f"--{name}", rich_help_panel="Settings", help=f"{good_for}: {settings}.")


def _preset(settings: type[Any], chosen: Mapping[str, Mapping[str, Any]], told: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the one preset that was chosen stands for; nothing where none was.

    Raises:
        typer.BadParameter: two were chosen, or one and a setting of its own.
    """
    if len(chosen) > 1:
        raise typer.BadParameter(f"{' and '.join(f'--{name}' for name in chosen)} are two presets: leave one out")
    for name, preset in chosen.items():
        for key in preset:
            if key in told and told[key] != getattr(settings, key):
                raise typer.BadParameter(f"--{name} stands for {key} {preset[key]}: leave it or --{key} out")
        return preset
    return {}


def as_typed(settings: type[Any], written: Mapping[str, Mapping[str, Any]], message: str) -> str:
    """What the settings say of their values, in the names and the form that a command line has for them.

    >>> from textsearch.tasks.settings import Infilling, Sampling
    >>> as_typed(Sampling, {"method": {"names": ["--sampler"]}}, "method='x' is none of a, b")
    '--sampler x is none of a, b'
    >>> as_typed(Infilling, {}, "exact=True lists, and different=False, max_length=3 do not")
    '--exact lists, and --no-different, max_length=3 do not'
    """
    names = {}
    for field in fields(settings):
        (first, *_) = written.get(field.name, {}).get("names", [f"--{field.name.replace('_', '-')}"])
        yes, _, no = str(first).partition("/")
        names[field.name] = {"True": yes, "False": no or f"--no-{yes[2:]}", "": yes}

    def typed(found: re.Match[str]) -> str:
        value = found["value"]
        own = names[found["name"]]
        plain = value[1:-1] if re.fullmatch(r"'[\w.-]+'", value) else value
        return own[value] if value in own else f"{own['']} {plain}"

    value = r"""'[^']*'|"[^"]*"|\([^()]*\)|[^\s,;:]+"""
    return re.sub(rf"(?<![\w.-])(?P<name>{'|'.join(names)})=(?P<value>{value})", typed, message)


def _check_together(settings: type[Any], told: Mapping[str, Any], written: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what the settings say cannot go together, once for all inputs."""
    try:
        settings(**told)
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(as_typed(settings, written, str(error))) from error


def _check(settings: type[Any], field: Field[Any], written: Mapping[str, Mapping[str, Any]]) -> Callable[[Any], Any]:
    """What the settings themselves say of a value."""

    def check(value: Any) -> Any:
        try:
            return getattr(settings(**{field.name: value}), field.name)
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(as_typed(settings, written, str(error))) from error

    return check
