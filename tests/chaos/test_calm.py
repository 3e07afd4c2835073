"""The promises of calm: proved on real computers, and found broken where they are."""

from __future__ import annotations

import pytest

from teleclaude.client.events import Changed, Message
from teleclaude.client.model import Model, fold
from tests.chaos import observer
from tests.chaos.run import NAMES, run


def deaf_fold(model: Model, messages: list[Message]) -> Model:
    """A client's model that forgets nothing: removals pass it by."""
    heard = [m for m in messages if not (isinstance(m, Changed) and m.removes)]
    return fold(model, heard)


@pytest.mark.timeout(240)
def test_commands_that_fail_in_calm_and_clients_that_err_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any fault a daemon that refuses to rename and clients that keep what has gone are told."""
    monkeypatch.setattr(observer, "fold", deaf_fold)
    report = run(5, 0, bugs=dict.fromkeys(NAMES, "stubborn"), links=False, passing=False)
    found = {text.partition(":")[0] for text in report.found}
    assert found >= {"calm", "client"}, report.text()
    assert all("PATCH" in text for text in report.found if text.startswith("calm")), report.text()
