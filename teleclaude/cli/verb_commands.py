"""The commands that are verbs, made from the table of verbs: an argument for what must be said, an option for the rest.

What a person at a terminal needs besides is in session_commands.py, by the verb's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

import click
import msgspec

from teleclaude.cli.table import print_json
from teleclaude.client.api import Api
from teleclaude.core.paths import places
from teleclaude.core.verbs import Verb, description_of

Fields = dict[str, Any]


class Manners(msgspec.Struct, frozen=True):
    """How a command differs from what its verb makes of it.

    `parameters` stand in for those of their names, or are added; `before` gives the arguments, from what was typed;
    `after` prints the answer; with `has_json` there is an option that prints it as it is.
    """

    parameters: tuple[click.Parameter, ...] = ()
    before: Callable[[Api, Fields], Fields] = lambda _, fields: fields
    after: Callable[[Any], None] | None = None
    help: str = ""
    has_json: bool = False


def command_of(verb: Verb, manners: Manners = Manners()) -> click.Command:  # noqa: B008  (frozen)
    """Make the command of a verb."""
    where = "Where the session is, if its id is not enough." if verb.is_for_session else "Where; here if not said."
    parameters = [_parameter(of) for of in msgspec.structs.fields(verb.args)]
    parameters.append(click.Option(["--computer"], default="", help=where))
    if manners.has_json:
        parameters.append(click.Option(["--json", "as_json"], is_flag=True, help="Print it as JSON."))
    by_name = {parameter.name: parameter for parameter in (*parameters, *manners.parameters)}

    def run(**typed: Any) -> None:
        api, as_json = Api(places().api_socket), typed.pop("as_json", False)
        fields = manners.before(api, {name: list(v) if isinstance(v, tuple) else v for name, v in typed.items()})
        answer = api.run(verb, **fields)
        (_print_answer if as_json else manners.after or _print_answer)(answer)

    text = manners.help or f"{verb.summary}.{_notes(verb)}"
    return click.Command(verb.name, callback=run, params=list(by_name.values()), help=text)


def _parameter(of: Any) -> click.Parameter:
    name, text = of.name, description_of(of.type)
    kind = get_args(of.type)[0] if get_origin(of.type) is not None and get_args(of.type) else of.type
    while get_args(kind) and get_origin(kind) is not list:
        kind = get_args(kind)[0]
    if of.required:
        return click.Argument([name], nargs=-1 if get_origin(kind) is list else 1, required=True)
    option = "--" + name.replace("_", "-")
    shows, kind = bool(of.default), _click_type(of)
    return click.Option([option, name], default=of.default, show_default=shows, type=kind, help=f"{text}.")


def _click_type(of: Any) -> Any:
    found: Any = msgspec.inspect.type_info(of.type)
    while isinstance(found, msgspec.inspect.Metadata):
        found = found.type
    if isinstance(found, msgspec.inspect.IntType):
        return click.IntRange(found.ge, found.le)
    return click.FLOAT if isinstance(found, msgspec.inspect.FloatType) else click.STRING


def _notes(verb: Verb) -> str:
    """What the arguments say of themselves, a paragraph each."""
    required = (of for of in msgspec.structs.fields(verb.args) if of.required)
    lines = [f"{of.name.upper()}: {text[0].lower()}{text[1:]}." for of in required if (text := description_of(of.type))]
    return "".join(f"\n\n{line}" for line in lines)


def _print_answer(answer: Any) -> None:
    """Print nothing of what only says that it is done; else the answer as JSON."""
    fields: Mapping[str, Any] = msgspec.to_builtins(answer)
    if fields != {"status": "ok"}:
        print_json(fields)
