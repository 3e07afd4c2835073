"""What verbs need at a terminal besides what their table says."""

from __future__ import annotations

import os
import sys

import click

from teleclaude.cli.table import say, say_aside
from teleclaude.cli.verb_commands import Fields, Manners
from teleclaude.client.api import Api
from teleclaude.core.errors import Conflict, InvalidField, Unavailable
from teleclaude.core.explanation import SessionExplanation
from teleclaude.core.paths import places
from teleclaude.core.records import StartedSession
from teleclaude.core.session_title import title_of
from teleclaude.core.text import visible
from teleclaude.core.verbs import VERBS, AnswerGiven, MessageDone, SessionOutput

# The manners of verbs at a terminal.


def _start_fields(api: Api, typed: Fields) -> Fields:
    """The folder of this computer is meant as the shell means it."""
    local = api.health().computer
    if typed["computer"] in {"", local}:
        typed["project"] = os.path.realpath(os.path.expanduser(typed["project"]))
    return typed | {"computer": typed["computer"] or local}


_DELIVERIES = {
    "typed": "typed: nothing there shows whether it was taken",
    "submitted": "submitted",
    "not_proven": "not proven: it was typed, and the agent did not show within a second that it took it",
}


def _print_started(session: StartedSession) -> None:
    say(session.session_id)
    if session.message_sent:
        say_aside(f"message: {_DELIVERIES.get(session.delivery, 'sent')}")
    if session.message_sent is False:
        raise Unavailable(
            f"the session is there, but the message was not sent: {session.message_error}. "
            f"`teleclaude message {session.session_id[:8]} TEXT` sends it"
        )


def _print_message_done(done: MessageDone) -> None:
    say(_DELIVERIES.get(done.delivery, "sent"))


def _message_fields(_: Api, typed: Fields) -> Fields:
    if typed["text"] in {None, "-"}:
        typed["text"] = _standard_input()
    if not typed["text"]:
        raise InvalidField("text", "is empty")
    return typed


def _end_fields(api: Api, typed: Fields) -> Fields:
    session = api.session(typed["session_id"], computer=typed["computer"])
    if not typed.pop("yes"):
        click.confirm(visible(f"End {title_of(session)} on {session.computer}?"), abort=True)
    return typed | {"session_id": session.session_id, "computer": session.computer}


def _output_fields(api: Api, typed: Fields) -> Fields:
    if typed.pop("follow"):
        from teleclaude.cli.follow_output import follow  # only this needs what the terminal client is made of

        follow(api, typed["session_id"], typed["computer"])
        raise click.exceptions.Exit(0)
    return typed


def _print_output(output: SessionOutput) -> None:
    for line in output.text.splitlines():
        click.echo(visible(click.unstyle(line)))


def _print_explanation(told: SessionExplanation) -> None:
    because = f" ({told.reason})" if told.reason else ""
    say(f"{told.status}{because}, since {told.since or 'unknown'}: {told.rule}")
    for piece in told.evidence:
        age = "" if piece.age is None else f", {piece.age:.1f} s ago"
        lost = f"  [{piece.why}]" if piece.why and not piece.won else ""
        say(f"{'*' if piece.won else ' '} {piece.source:<10} {piece.says}{age}{lost}")
    if told.would_change:
        say("would change it: " + "; ".join(told.would_change))


def _approve_fields(api: Api, typed: Fields) -> Fields:
    """Answer what the session asks now, unless a question is named; and say what that is."""
    session = api.session(typed["session_id"], computer=typed["computer"])
    asks = session.asks
    if asks is None:
        raise Conflict(f"{title_of(session)} asks nothing")
    if not asks.id:
        why = f" ({asks.answered})" if asks.answered else ""
        raise Conflict(f"{title_of(session)} is answered at its own terminal only{why}: attach to it")
    if typed["ask"] in {"", asks.id}:
        say_aside(f"{asks.tool}: {asks.text}" if asks.tool else asks.text)
    fields = typed | {"session_id": session.session_id, "computer": session.computer, "ask": typed["ask"] or asks.id}
    if fields.pop("suggested", False):
        fields["decision"] = "suggested"
    return fields


def _print_given(given: AnswerGiven) -> None:
    say(given.outcome)


_ASK = click.Option(["--ask"], default="", help="The question's id; what it asks now if not said.")


@click.command()
@click.argument("session_id")
@click.option("--reason", default="", help="What the agent is told.")
@click.option("--computer", default="", help="Where the session is, if its id is not enough.")
@click.option("--ask", default="", help="The question's id; what it asks now if not said.")
def deny(**typed: str) -> None:
    """Deny what an agent asks.

    SESSION_ID may be any unique beginning of an id.
    """
    api = Api(places().api_socket)
    fields = _approve_fields(api, {**typed, "decision": "deny"})
    _print_given(api.run(VERBS["approve"], **fields))


MANNERS = {
    "approve": Manners(
        parameters=(
            _ASK,
            click.Option(["--suggested"], is_flag=True, help="Allow it for its session, as the agent suggests."),
            click.Option(["--answer", "answers"], multiple=True, help="The answer to its question, one for each."),
            click.Option(["--decision"], default="allow", hidden=True),
        ),
        before=_approve_fields,
        after=_print_given,
        help="Allow what an agent asks, or answer its question; `deny` denies it.\n\n"
        "SESSION_ID may be any unique beginning of an id. Says what became of it: taken by the agent, or sent.",
    ),
    "start": Manners(
        parameters=(
            click.Argument(["project"], type=click.Path(file_okay=False)),
            click.Option(["--agent"], default="claude", show_default=True, help="The agent's profile."),
        ),
        before=_start_fields,
        after=_print_started,
        help="Start an agent in PROJECT, a folder, and print the new session's id.\n\n"
        "Exit status 1 with an id: the session is there, and its first message was not sent.",
    ),
    "message": Manners(
        parameters=(click.Argument(["text"], required=False),),
        before=_message_fields,
        after=_print_message_done,
        help="Give TEXT to a session as one paste, then Enter. Without TEXT, or with `-`: standard input.\n\n"
        "SESSION_ID may be any unique beginning of an id.",
    ),
    "end": Manners(
        parameters=(click.Option(["--yes"], is_flag=True, help="Do not ask."),),
        before=_end_fields,
        help="End a session: its pane, and what runs in it.",
    ),
    "output": Manners(
        parameters=(click.Option(["--follow", "-f"], is_flag=True, help="Show the screen, live, until Ctrl-C."),),
        before=_output_fields,
        after=_print_output,
        help="Show the last lines of a session.\n\nSESSION_ID may be any unique beginning of an id. With --follow its "
        "screen, whenever it changes: in colours on a terminal; into a pipe as text, a form feed after each screen.",
    ),
    "explain": Manners(after=_print_explanation, has_json=True),
    "rename": Manners(after=lambda _: None),
}


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidField("text", f"is not UTF-8: {error.reason} at byte {error.start}") from error
