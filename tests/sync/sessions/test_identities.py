"""Identities: stable, never doubled, whatever tmux shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleclaude.sync.sessions.identities import Holder, Identities, Identity, read_identity, write_commands


def pane(key: str, text: str = "", session: str = "$1") -> Holder:
    """A pane with an agent."""
    return Holder(key, text, session)


def session(key: str, text: str = "", older: str = "") -> Holder:
    """A tmux session."""
    return Holder(key, text, key, older)


def see(identities: Identities, *holders: Holder) -> dict[str, Identity]:
    """A look that shows these, the panes as rows, and the sessions in which none of them is."""
    served = {holder.session for holder in holders if holder.key.startswith("%")}
    found = identities.see(holders, [holder.key for holder in holders if holder.key not in served])
    identities.keep({holder.key: holder.text for holder in holders})
    return found


Shown = st.dictionaries(
    st.sampled_from(["%1", "%2", "%3", "%10", "$1", "$2"]),
    st.sampled_from(["", "junk", '{"id":"aaaa"}', '{"id":"bbbb","title":"t"}', "written"]),
)


@given(st.lists(Shown, max_size=8))
def test_ids_are_stable_and_never_doubled(looks: list[dict[str, str]]) -> None:
    """Look after look: no two rows share an id, and who was seen keeps its own while tmux shows no other."""
    identities = Identities()
    written: dict[str, str] = {}
    before: dict[str, Identity] = {}
    for look in looks:
        texts = {key: written.get(key, "") if text == "written" else text for key, text in look.items()}
        holders = [session(k, t) if k.startswith("$") else pane(k, t) for k, t in texts.items()]
        found = see(identities, *holders)
        assert found.keys() == look.keys()
        for kind in "$%":
            ids = [identity.id for key, identity in found.items() if key.startswith(kind)]
            assert len(set(ids)) == len(ids)
        if "$2" in found:
            assert found["$2"].id not in {identity.id for key, identity in found.items() if key != "$2"}
        for key, text in look.items():
            if text in {"", "junk"} and key in before:
                assert found[key] == before[key]
        written = dict(identities.unwritten())
        before = found


def test_what_is_written_is_not_written_again() -> None:
    """What tmux shows is not written; what it does not show yet, or shows otherwise, is."""
    identities = Identities()
    own = see(identities, session("$1"))["$1"]
    assert identities.unwritten() == [("$1", own.text())]
    assert see(identities, session("$1", own.text())) == {"$1": own}
    assert identities.unwritten() == []
    changed = identities.change(0, "$1", title="ü #(x)")
    assert see(identities, session("$1", own.text())) == {"$1": changed}
    assert identities.unwritten() == [("$1", changed.text())]
    assert changed.text().isascii()
    assert "\n" not in changed.text()
    assert read_identity(changed.text()) == changed


def test_an_agent_that_begins_and_ends_in_a_session_stays_one_row() -> None:
    """A session's first agent goes on under the session's id; when it ends the session has it; a second has its own."""
    identities = Identities()
    own = see(identities, session("$1"))["$1"]
    assert identities.row(own.id) == "$1"
    assert see(identities, session("$1"), pane("%4"))["%4"].id == own.id
    assert identities.row(own.id) == "%4"
    second = see(identities, session("$1"), pane("%4"), pane("%5"))["%5"]
    assert second.id != own.id
    assert see(identities, session("$1"), pane("%5"))["%5"] == second
    assert identities.row(own.id) == ""
    assert see(identities, session("$1"))["$1"] == own
    assert identities.row(own.id) == "$1"


def test_an_agents_pane_that_moves_takes_its_id_along() -> None:
    """A pane that is moved to another session keeps its row; the session it leaves gets another id, and keeps that."""
    identities = Identities()
    own = see(identities, session("$1"), pane("%4"))["%4"]
    moved = see(identities, session("$1"), session("$2"), pane("%4", session="$2"))
    assert moved["%4"].id == own.id
    assert moved["$1"].id != own.id
    back = see(identities, session("$1"), session("$2"), pane("%4"))
    assert (back["%4"].id, back["$1"].id) == (own.id, moved["$1"].id)


def test_ids_of_older_versions() -> None:
    """A session whose id an older version kept in its active pane goes on under it."""
    identities = Identities()
    assert see(identities, session("$1", "", '{"id":"older"}'))["$1"].id == "older"
    assert see(identities, session("$1"), session("$2", "", '{"id":"older"}'))["$2"].id != "older"


def test_rename() -> None:
    """A row's title is that of all that goes on under its id; what is no row is not renamed."""
    identities = Identities()
    own = see(identities, session("$1"), pane("%4"), pane("%5"))
    named = identities.rename(0, own["%4"].id, "t")
    assert named is not None
    assert named.title == "t"
    assert [identities.get(key) and identities.get(key).title for key in ("$1", "%4", "%5")] == ["t", "t", ""]  # type: ignore[union-attr]
    assert identities.rename(0, "nobody", "t") is None


def test_started_under_one_id() -> None:
    """What a command starts has one id, whether it is a shell or an agent."""
    identities = Identities()
    own = identities.change(0, "$1", title="t", ours=True)
    agents = identities.change(0, "%4", like="$1", agent="claude")
    assert (agents.id, agents.title, agents.ours, agents.agent) == (own.id, "t", True, "claude")
    assert see(identities, session("$1"), pane("%4")) == {"$1": own, "%4": agents}


def test_other_server_is_another_world() -> None:
    """Nothing is carried over to another server; what was changed on it before its first look is kept."""
    identities = Identities()
    identities.meet(1)
    old = see(identities, session("$1"))["$1"]
    new = identities.change(2, "$1", title="new")
    assert new.id != old.id
    identities.meet(2)
    assert see(identities, session("$1")) == {"$1": new}


def test_held_ones_wait() -> None:
    """While a session is being started a new one has no identity; those that are known do."""
    identities = Identities()
    known = see(identities, session("$1"))["$1"]
    with identities.held():
        found = see(identities, session("$1"), session("$2"), session("$3", '{"id":"cccc"}'))
        assert found.keys() == {"$1", "$3"}
    assert see(identities, session("$1"), session("$2"))["$1"] == known


def test_what_is_gone_is_not_written() -> None:
    """What ended before its identity was confirmed is not written again; nor what no look ever shows."""
    identities = Identities()
    see(identities, session("$1"), session("$2"))
    see(identities, session("$2"))
    assert [key for key, _ in identities.unwritten()] == ["$2"]
    identities.change(0, "$3", title="just made")
    see(identities, session("$2"))  # this look may have begun before $3 was made
    assert [key for key, _ in identities.unwritten()] == ["$2", "$3"]
    see(identities, session("$2"))
    assert [key for key, _ in identities.unwritten()] == ["$2"]
    assert identities.get("$3") is None


def test_what_is_no_row_is_confirmed_as_well() -> None:
    """A pane without an agent any more is not written for ever either."""
    identities = Identities()
    own = see(identities, session("$1"), pane("%1"))["%1"]
    identities.see([session("$1")], ["$1"])
    identities.keep({"$1": own.text(), "%1": own.text()})
    assert identities.unwritten() == []


def test_unknown_parts_are_no_harm() -> None:
    """What a newer version wrote is understood; what is no identity is not."""
    assert read_identity('{"id":"aaaa","new":[1]}') == Identity(id="aaaa")
    for text in ("", "x", "[]", "{}", '{"id":1}', '{"id":""}', '{"id":"a b c d"}', '{"id":"aaaa","title":5}', "\udcff"):
        assert read_identity(text) is None


def test_write_commands_are_few_and_small() -> None:
    """300 identities are a few commands, none over the limit of a message."""
    unwritten = [(f"${n}", Identity(id="0123456789abcdef", title="t" * 20).text()) for n in range(300)]
    commands = write_commands(unwritten)
    assert len(commands) <= 4
    assert all(sum(len(word) + 1 for word in command) <= 12_000 for command, _ in commands)
    assert sum(command.count("set-option") for command, _ in commands) == 300
    assert [pair for _, batch in commands for pair in batch] == unwritten
    assert write_commands([]) == []
