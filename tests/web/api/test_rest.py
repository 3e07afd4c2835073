"""GET: pure reads of the snapshot, with filters, prefixes, ETags and clear errors."""

from __future__ import annotations

import signal

import pytest

from teleclaude.cache import wire
from teleclaude.core.records import Computer, Project, Service, Todo
from tests.wait import until
from tests.web.daemon import LOCAL, Daemon, session
from tests.web.raw_http import Connection, raw


def test_lists_are_arrays_of_records(web: Daemon) -> None:
    """Each kind has its list, whole."""
    web.put(Project(computer=LOCAL, path="/p", name="p"), Todo(computer=LOCAL, project="/p", slug="t", title="T"))
    assert [record["session_id"] for record in web.get("/sessions").json] == [
        "a00000",
        "a00001",
        "a00002",
    ]
    assert [record["name"] for record in web.get("/computers").json] == [LOCAL]
    assert [record["path"] for record in web.get("/projects").json] == ["/p"]
    assert [record["slug"] for record in web.get("/todos").json] == ["t"]
    found = web.get("/projects-with-todos").json
    assert [(project["path"], [todo["slug"] for todo in project["todos"]]) for project in found] == [("/p", ["t"])]


def test_filters_choose(web: Daemon) -> None:
    """By computer, project and status, alone and together; a computer that is not there has nothing."""
    web.put(Computer(name="other", status="offline"), session(7, computer="other", status="working", project="/q"))

    def ids(query: str) -> list[str]:
        return [record["session_id"] for record in web.get(f"/sessions?{query}").json]

    assert ids("computer=other") == ids("status=working") == ids("project=/q") == ["a00007"]
    assert ids("computer=here&status=idle&project=/p") == ["a00000", "a00001", "a00002"]
    assert ids("q=@work%20on:oth%20in:/q") == ids("q=@working&computer=other") == ["a00007"]
    assert ids("q=-@working&computer=here") == ["a00000", "a00001", "a00002"]
    assert ids("computer=nowhere") == ids("computer=here&status=working") == []
    assert [record["name"] for record in web.get("/computers?status=offline").json] == ["other"]
    assert [record["name"] for record in web.get("/computers?computer=here").json] == ["here"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/sessions?color=red", "color"),
        ("/sessions?status=asleep", "status"),
        ("/sessions?q=@asleep", "q"),
        ("/todos?q=x", "q"),
        ("/sessions?computer=a&computer=b", "computer"),
        ("/projects?status=idle", "status"),
        ("/health?x=1", "x"),
        ("/agents?computer=here", "computer"),
        ("/sessions/a00001?colour=red", "colour"),
        ("/sessions/a00001/output?lines=many", "lines"),
        ("/sessions/a00001/output?lines=0", "lines"),
        ("/sessions/a00001/output?lines=-1", "lines"),
        ("/sessions/a00001/output?lines=1180591620717411303424", "lines"),
        ("/sessions/a00001/output?lines=10001", "lines"),
    ],
)
def test_a_wrong_parameter_is_named(web: Daemon, path: str, field: str) -> None:
    """Nothing is silently ignored."""
    answer = web.get(path)
    assert (answer.status, answer.json["error"]["field"]) == (400, field)


def test_a_session_is_found_by_a_unique_prefix(web: Daemon) -> None:
    """The whole id wins over longer ones; several are named as such; none is 404."""
    web.put(session(9, session_id="a0000"), session(10, session_id="abc"))
    assert web.get("/sessions/ab").json["session_id"] == "abc"
    assert web.get("/sessions/a0000").json["session_id"] == "a0000"
    assert web.get("/sessions/a000").json["error"]["code"] == "ambiguous"
    assert web.get("/sessions/a000").status == 409
    assert web.get("/sessions/zz").status == 404


def test_an_answer_has_a_tag_and_a_known_tag_is_304(web: Daemon) -> None:
    """On the short and the long way alike; any change gives another tag."""
    for path in ("/sessions", "/sessions?status=idle", "/sessions/a00001", "/computers"):
        tag = web.get(path).headers["etag"]
        for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            again = web.get(path, If_None_Match=known)
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        assert web.get(path, If_None_Match='"x-1"').status == 200
    web.put(session(1, title="changed"))
    assert web.get("/sessions", If_None_Match=tag).status == 200
    assert web.get("/sessions").headers["etag"] != tag


def test_both_ways_give_the_same(web: Daemon) -> None:
    """An answer from ready bytes differs in nothing from one through Flask."""
    for path in ("/sessions", "/computers", "/projects", "/todos"):
        short, long = web.get(path), web.get(path, Connection="close")
        assert (short.status, short.body) == (long.status, long.body)
        for name in ("etag", "content-type", "content-length", "cache-control"):
            assert short.headers[name] == long.headers[name]
        assert "date" in short.headers


def test_a_head_request_has_no_body(web: Daemon) -> None:
    """HEAD tells what GET would."""
    answer = web.send("HEAD", "/sessions")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == web.get("/sessions").headers["content-length"]


def test_a_write_is_in_the_next_read(web: Daemon) -> None:
    """A write that somebody waits for is in the snapshot before its writer is told."""
    connection = Connection(web.api)
    for number in range(200):
        web.put(session(1, title=f"title {number}"))
        assert f'"title {number}"'.encode() in connection.ask("GET", "/sessions").body
    connection.close()


def test_nothing_yet_is_unavailable(idle: Daemon) -> None:
    """Before the first look is done nobody is shown an empty computer."""
    idle.start()
    for path in ("/sessions", "/sessions?status=idle", "/sessions/x", "/projects-with-todos"):
        answer = idle.get(path)
        assert (answer.status, answer.json["error"]["code"]) == (503, "unavailable")
    health = idle.get("/health").json
    assert (health["status"], health["stale"]) == ("degraded", True)
    idle.fill()
    assert idle.get("/sessions").json == []


def test_reads_go_on_without_the_cache_and_say_so(own: Daemon) -> None:
    """The last snapshot stays, marked stale; a new cache is followed by itself."""
    assert "x-teleclaude-stale" not in own.get("/sessions").headers
    own.kill("cache")
    for headers in ({}, {"Connection": "close"}):
        until(lambda h=headers: "x-teleclaude-stale" in own.get("/sessions", **h).headers)  # type: ignore[misc]
        assert len(own.get("/sessions", **headers).json) == 3
    health = own.get("/health").json
    assert (health["status"], health["stale"], health["reason"]) == ("degraded", True, "cache does not answer")
    own.start("cache")
    own.fill(session(5))
    until(lambda: "x-teleclaude-stale" not in own.get("/sessions").headers)
    assert [record["session_id"] for record in own.get("/sessions").json] == ["a00005"]


def test_a_stopped_cache_stops_no_read(own: Daemon) -> None:
    """Reads need nobody, and commands do not go through it."""
    own.processes["cache"].send_signal(signal.SIGSTOP)
    assert len(own.get("/sessions").json) == 3
    answer = own.send("DELETE", "/sessions/a00001")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert own.get("/metrics").status == 200
    own.processes["cache"].send_signal(signal.SIGCONT)
    until(lambda: own.send("DELETE", "/sessions/a00001").status == 200)


def test_what_the_supervisor_knows_is_told(own: Daemon) -> None:
    """A worker that does not run makes the data stale, with the reason; control characters in it break no header."""
    own.workers(supervisor="running", cache="running", sync="running", web="running")
    until(lambda: own.get("/health").json["workers"])
    assert own.get("/health").json["workers"]["sync"]["pid"] == 1
    assert own.get("/health").json["stale"] is False
    own.workers(cache="running", sync="backoff")
    until(lambda: "x-teleclaude-stale" in own.get("/sessions").headers)
    assert own.get("/sessions").headers["x-teleclaude-stale"] == "sync is backoff"
    own.workers(cache="running", sync="x\r\nSet-Cookie: ü")
    until(lambda: "Set-Cookie" in own.get("/health").json["reason"])
    assert "set-cookie" not in own.get("/sessions").headers


def test_services_are_those_of_this_computer(web: Daemon) -> None:
    """`/health` passes on what this computer says of itself."""
    web.put(Computer(name=LOCAL, is_local=True, services=(Service(name="tmux", state="absent", reason="no server"),)))
    assert web.get("/health").json["services"][0]["state"] == "absent"


def test_agents_come_from_the_settings_and_are_read_again_on_hangup(own: Daemon) -> None:
    """SIGHUP takes the new settings in place; a wrong file changes nothing."""
    assert [agent["name"] for agent in own.get("/agents").json] == ["claude", "codex", "gemini", "opencode", "shell"]
    own.settings('[agents.mine]\ncommand = "run me"\ncolour = "red"\n[agents.mine.thinking_modes]\ndeep = "-d"\n')
    own.processes["web"].send_signal(signal.SIGHUP)
    until(lambda: "mine" in [agent["name"] for agent in own.get("/agents").json])
    mine = {"name": "mine", "colour": "red", "command": "run me", "thinking_modes": ["deep"]}
    assert mine in own.get("/agents").json
    own.settings("[agents.mine]\ncomand = 1\n")
    own.processes["web"].send_signal(signal.SIGHUP)
    until(lambda: "comand" in own.log())
    assert mine in own.get("/agents").json


def test_metrics_are_for_prometheus(web: Daemon) -> None:
    """Own numbers, those of the cache, and those of the process."""
    answer = web.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for name in (b"teleclaude_ws_clients 0.0", b"teleclaude_cache_sessions 3.0", b"process_open_fds"):
        assert name in answer.body


def test_other_paths_and_methods_are_refused_in_json(web: Daemon) -> None:
    """Unknown is 404, a wrong method 405 with what is allowed; a method is never overridden."""
    assert web.get("/nothing").json["error"]["code"] == "not_found"
    assert web.get("/sessions/").status == 404
    answer = web.send("PUT", "/sessions")
    assert (answer.status, answer.json["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    for method in ("OPTIONS", "TRACE", "PROPFIND"):
        assert web.send(method, "/sessions").status == 405
    assert web.get("/sessions/a00001", X_HTTP_Method_Override="DELETE").status == 200
    assert web.get("/ws").status == 400
    assert web.requests == []


def test_pipelined_requests_are_answered_in_order(web: Daemon) -> None:
    """Short and long ways mixed on one connection."""
    one = b"GET /sessions HTTP/1.1\r\nHost: a\r\n\r\n"
    two = b"GET /agents HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = raw(web.api, one * 50 + two + one + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 52
    assert answer.rindex(b'"session_id"') > answer.index(b'"thinking_modes"')
    assert b"HTTP/1.1 404" in answer[answer.rindex(b"HTTP/1.1") :]


def test_a_large_state_goes_out_whole(web: Daemon) -> None:
    """10,000 sessions are more than any buffer takes at once."""
    web.sync.write([wire.ReplaceSessions(LOCAL, [session(number) for number in range(10_000)])], flush=True)
    connection = Connection(web.api)
    for _ in range(3):
        assert len(connection.ask("GET", "/sessions").json) == 10_000
    connection.close()
