"""What schemathesis tries of the OpenAPI document, over TCP. Run by test_openapi.py, in a pytest of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from teleclaude.core.errors import NotFound
from teleclaude.core.explanation import EvidencePiece, SessionExplanation
from teleclaude.core.verbs import Args, Explain, Output, Rename, Restore, Start
from teleclaude.web.api.openapi import document
from teleclaude.web.http.security import Tokens, tokens_file
from tests.wait import until
from tests.web.daemon import LOCAL, daemon, session
from tests.web.http.test_security import _is_open, free_port

IDS = ["a00000", "a00001", "a00002"]
HURRY = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],  # pyright: ignore[reportArgumentType]  # it iterates like an Enum
)


def loaded(**session_id: Any) -> Any:
    """Load the document; `session_id` narrows what is tried as an id."""
    found = msgspec.json.decode(msgspec.json.encode(document()))
    for item in found["paths"].values():
        for parameter in item.get("parameters", ()):
            parameter["schema"] |= session_id
    return schemathesis.openapi.from_dict(found)


anything = loaded()
real_sessions = loaded(enum=IDS).include(path_regex="session_id")


def answer(args: Args) -> dict[str, Any]:
    if getattr(args, "session_id", IDS[0]) not in IDS:
        raise NotFound("no session here has that id", field="session_id")
    match args:
        case Start() | Rename() | Restore():
            return {"session": msgspec.to_builtins(session(1))}
        case Output():
            return {"text": "out"}
        case Explain(session_id=session_id):
            piece = EvidencePiece(source="title", says="working", age=1.5, won=True)
            told = SessionExplanation(session_id=session_id, status="working", evidence=(piece,))
            return dict(msgspec.to_builtins(told))
    return {}


@pytest.fixture(scope="module")
def way() -> Iterator[dict[str, Any]]:
    """Where a daemon is reached whose sync process does all it is asked, and with which headers."""
    with daemon() as found:
        port = free_port()
        made = Tokens(tokens_file(found.place.state)).add("schemathesis")
        found.settings(f'[computer]\nname = "{LOCAL}"\n[api]\ntcp = "127.0.0.1:{port}"\n')
        found.start()
        found.fill(*(session(number) for number in range(3)))
        found.run_commands(answer)
        until(lambda: _is_open(port))
        yield {"base_url": f"http://127.0.0.1:{port}", "headers": {"Authorization": f"Bearer {made}"}}
        assert "Traceback" not in found.log()


@anything.parametrize()  # type: ignore[untyped-decorator]  # schemathesis types it loosely
@HURRY
def test_every_operation_does_what_it_says(case: schemathesis.Case[Any], way: dict[str, Any]) -> None:
    """Status codes, content types, bodies and headers are those of the document, for good and bad requests."""
    case.call_and_validate(**way)


@real_sessions.parametrize()  # type: ignore[untyped-decorator]  # schemathesis types it loosely
@HURRY
def test_every_operation_on_a_session_that_is_there(case: schemathesis.Case[Any], way: dict[str, Any]) -> None:
    """The same with ids that are found, so that what lies behind is tried too."""
    case.call_and_validate(**way)
