"""A stub of the models' APIs on 127.0.0.1: of Anthropic, OpenAI (responses and chat) and Gemini."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.agents.answers import Answer, Tools, answer_to, has_word

Json = dict[str, Any]
_USAGE = {"input_tokens": 100, "output_tokens": 10}


def unique(prefix: str) -> str:
    """A new id, as the APIs give them."""
    return prefix + uuid.uuid4().hex[:24]


class ModelStub:
    """The server. `prompts`: the newest text of each request that had tools, and so was a turn of the agent."""

    def __init__(self, folder: Path) -> None:
        self.prompts: list[str] = []
        self.tools = Tools(folder)
        stub = self

        class Handler(_Handler):
            def __init__(self, *args: Any) -> None:
                self.stub = stub
                super().__init__(*args)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: ModelStub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it so)
        pass

    def do_HEAD(self) -> None:
        self._json({})

    def do_GET(self) -> None:
        is_list = "models" in self.path
        self._json(
            {"object": "list", "data": [{"id": "stub-model", "object": "model"}], "models": []}, 200 if is_list else 404
        )

    def do_POST(self) -> None:
        path, asked = self.path.split("?")[0], self._asked()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for end, answer in self._apis().items():
                if path.endswith(end):
                    answer(asked)
                    return
            self._json({"error": {"type": "not_found_error", "message": "the stub knows no such path"}}, 404)
        self.close_connection = True

    def _apis(self) -> dict[str, Callable[[Json], None]]:
        return {
            "/messages": self._anthropic,
            "/count_tokens": lambda _asked: self._json({"input_tokens": 100}),
            "/responses": self._responses,
            "/chat/completions": self._chat,
            ":streamGenerateContent": lambda asked: self._gemini(asked, stream=True),
            ":generateContent": lambda asked: self._gemini(asked, stream=False),
            ":countTokens": lambda _asked: self._json({"totalTokens": 100}),
        }

    # --- what all share

    def _asked(self) -> Json:
        data = b""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().strip() or b"0", 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        asked = json.loads(data or b"{}")
        return asked if isinstance(asked, dict) else {}

    def _choose(self, text: str, *, is_result: bool, tools: Iterable[str]) -> Answer:
        has_tools = any(tools)
        if has_tools and not is_result:
            self.stub.prompts.append(text)
        return answer_to(text, is_result=is_result, has_tools=has_tools)

    def _json(self, answer: Json, status: int = 200) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _start_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def _event(self, data: Json | str, name: str = "") -> None:
        head = f"event: {name}\n" if name else ""
        body = data if isinstance(data, str) else json.dumps(data)
        self.wfile.write(f"{head}data: {body}\n\n".encode())
        self.wfile.flush()

    # --- Anthropic's messages (Claude Code)

    def _anthropic(self, asked: Json) -> None:
        new: list[Json] = []  # all that came since the model's last word
        for message in reversed(asked.get("messages") or []):
            if message.get("role") == "assistant":
                break
            content = message.get("content", "")
            new = ([{"type": "text", "text": content}] if isinstance(content, str) else list(content)) + new
        texts = [part["text"] for part in new if part.get("type") == "text"]
        text = " ".join(text for text in texts if not text.startswith("<system-reminder>"))
        tools = [str(tool.get("name")) for tool in asked.get("tools") or []]
        is_result = any(part.get("type") == "tool_result" for part in new) and not has_word(text)
        answer = self._choose(text, is_result=is_result, tools=tools)
        if answer.error:
            error = {"type": answer.error_type, "message": "the stub's error"}
            self._json({"type": "error", "error": error}, answer.error)
            return
        use = self._anthropic_tool(answer.tool, tools)
        blocks: list[Json] = [{"type": "text", "text": "".join(answer.parts)}]
        if use:
            blocks.append({"type": "tool_use", "id": unique("toolu_"), "name": use[0], "input": use[1]})
        message = {
            "id": unique("msg_"),
            "type": "message",
            "role": "assistant",
            "model": asked.get("model", "stub"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _USAGE,
        }
        stop = "tool_use" if use else "end_turn"
        if not asked.get("stream"):
            self._json({**message, "content": blocks, "stop_reason": stop})
            return
        self._start_stream()
        self._anthropic_event("message_start", message=message)
        for index, block in enumerate(blocks):
            self._anthropic_block(index, block, answer)
        self._anthropic_event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=_USAGE)
        self._anthropic_event("message_stop")

    def _anthropic_event(self, kind: str, **more: Any) -> None:
        self._event({"type": kind, **more}, kind)

    def _anthropic_block(self, index: int, block: Json, answer: Answer) -> None:
        empty = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        self._anthropic_event("content_block_start", index=index, content_block=empty)
        if block["type"] == "text":
            for part in answer.parts:
                time.sleep(answer.pause)
                self._anthropic_event("content_block_delta", index=index, delta={"type": "text_delta", "text": part})
        else:
            part = json.dumps(block["input"])
            delta = {"type": "input_json_delta", "partial_json": part}
            self._anthropic_event("content_block_delta", index=index, delta=delta)
        self._anthropic_event("content_block_stop", index=index)

    def _anthropic_tool(self, word: str, known: list[str]) -> tuple[str, Json] | None:
        tools = self.stub.tools
        if command := tools.command(word):
            return "Bash", {"command": command, "description": "Leave a mark"}
        if file := tools.file(word):
            return "Write", {"file_path": file["path"], "content": file["content"]}
        if question := tools.question(word, multiSelect=False):
            return "AskUserQuestion", question
        if word == "PLAN":
            return "ExitPlanMode", {"plan": "1. do it"}
        if word == "SUBAGENT":
            told = {"description": "Small task", "prompt": "say TEXT", "subagent_type": "general-purpose"}
            return ("Agent" if "Agent" in known else "Task"), told
        return None

    # --- OpenAI's responses (Codex)

    def _responses(self, asked: Json) -> None:
        items = asked.get("input") or []
        if isinstance(items, str):
            items = [{"role": "user", "content": items}]
        said = [item for item in items if item.get("role") == "user"]
        content = said[-1].get("content") if said else ""
        text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content or [])
        tools = [str(tool.get("name") or tool.get("type")) for tool in asked.get("tools") or []]
        is_result = bool(items) and str(items[-1].get("type", "")).endswith("_output")
        answer = self._choose(text, is_result=is_result, tools=tools)
        if answer.error:
            self._json(
                {"error": {"type": answer.error_type, "code": None, "message": "the stub's error"}}, answer.error
            )
            return
        head = {"id": unique("resp_"), "object": "response"}
        self._start_stream()
        self._event(
            {"type": "response.created", "response": {**head, "status": "in_progress", "output": []}},
            "response.created",
        )
        item = self._responses_tool(answer.tool, tools) or self._responses_text(answer)
        self._event({"type": "response.output_item.done", "output_index": 0, "item": item}, "response.output_item.done")
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        usage = {**_USAGE, **details, "total_tokens": 110}
        done = {**head, "status": "completed", "output": [item], "usage": usage}
        self._event({"type": "response.completed", "response": done}, "response.completed")

    def _responses_text(self, answer: Answer) -> Json:
        item = {"type": "message", "id": unique("msg_"), "role": "assistant", "status": "in_progress", "content": []}
        self._event(
            {"type": "response.output_item.added", "output_index": 0, "item": item}, "response.output_item.added"
        )
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        for part in answer.parts:
            time.sleep(answer.pause)
            self._event({"type": "response.output_text.delta", **place, "delta": part}, "response.output_text.delta")
        text = {"type": "output_text", "text": "".join(answer.parts), "annotations": []}
        return {**item, "status": "completed", "content": [text]}

    def _responses_tool(self, word: str, known: list[str]) -> Json | None:
        call = {"type": "function_call", "id": unique("fc_"), "call_id": unique("call_")}
        if command := self.stub.tools.command(word):
            outside = {"sandbox_permissions": "require_escalated", "justification": "the stub wants it"}
            name = next((name for name in ("exec_command", "shell_command") if name in known), "shell")
            told = {"exec_command": {"cmd": command}, "shell_command": {"command": command}}
            arguments = told.get(name, {"command": ["bash", "-lc", command]})
            return {**call, "name": name, "arguments": json.dumps({**arguments, **outside})}
        if question := self.stub.tools.question(word, id="colour"):
            return {**call, "name": "request_user_input", "arguments": json.dumps(question)}
        return None

    # --- OpenAI's chat (opencode)

    def _chat(self, asked: Json) -> None:
        messages = asked.get("messages") or []
        said = [message for message in messages if message.get("role") == "user"]
        content = said[-1].get("content") if said else ""
        text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content or [])
        tools = [str(tool.get("function", {}).get("name")) for tool in asked.get("tools") or []]
        is_result = bool(messages) and messages[-1].get("role") == "tool"
        answer = self._choose(text, is_result=is_result, tools=tools)
        if answer.error:
            self._json({"error": {"message": "the stub's error", "type": answer.error_type}}, answer.error)
            return
        head = {"id": unique("chatcmpl-"), "created": int(time.time()), "model": asked.get("model")}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        if not asked.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": "".join(answer.parts)}}
            told = {**head, "object": "chat.completion", "choices": [{**choice, "finish_reason": "stop"}]}
            self._json({**told, "usage": usage})
            return
        head["object"] = "chat.completion.chunk"
        self._start_stream()
        call = self._chat_tool(answer.tool)
        for delta, finish in self._chat_deltas(answer, call):
            self._event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        self._event({**head, "choices": [], "usage": usage})
        self._event("[DONE]")

    def _chat_deltas(self, answer: Answer, call: tuple[str, Json] | None) -> Iterable[tuple[Json, str | None]]:
        yield {"role": "assistant", "content": ""}, None
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            yield {"tool_calls": [{"index": 0, "id": unique("call_"), "type": "function", "function": function}]}, None
            yield {}, "tool_calls"
            return
        for part in answer.parts:
            time.sleep(answer.pause)
            yield {"content": part}, None
        yield {}, "stop"

    def _chat_tool(self, word: str) -> tuple[str, Json] | None:
        tools = self.stub.tools
        if command := tools.command(word):
            return "bash", {"command": command, "description": "Leave a mark"}
        if file := tools.file(word):
            return "write", {"filePath": file["path"], "content": file["content"]}
        if question := tools.question(word):
            return "question", question
        return None

    # --- Gemini's generateContent

    def _gemini(self, asked: Json, *, stream: bool) -> None:
        contents = asked.get("contents") or []
        parts = (contents[-1].get("parts") if contents else None) or []
        declared = [tool.get("functionDeclarations") or [] for tool in asked.get("tools") or []]
        config = asked.get("generationConfig") or {}
        wants_json = bool(config.get("responseJsonSchema") or config.get("responseMimeType") == "application/json")
        answer = self._choose(
            " ".join(part.get("text", "") for part in parts),
            is_result=any("functionResponse" in part for part in parts),
            tools=[] if wants_json else [str(one.get("name")) for some in declared for one in some],
        )
        if answer.error:
            self._gemini_error(answer.error)
            return
        side = {"reasoning": "stub", "model_choice": "flash", "complexity_reasoning": "stub", "complexity_score": 10}
        text = json.dumps({**side, "next_speaker": "user"}) if wants_json else "".join(answer.parts)
        if not stream:
            self._json(self._gemini_chunk({"text": text}, "STOP"))
            return
        self._start_stream()
        call = self._gemini_tool(answer.tool)
        if call:
            self._event(self._gemini_chunk({"functionCall": {"name": call[0], "args": call[1]}}, "STOP"))
            return
        for part in (text,) if wants_json else answer.parts:
            time.sleep(answer.pause)
            self._event(self._gemini_chunk({"text": part}))
        self._event(self._gemini_chunk({"text": ""}, "STOP"))

    def _gemini_error(self, status: int) -> None:
        names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}
        error = {"code": status, "message": "the stub's error", "status": names.get(status, "INTERNAL")}
        self._json({"error": error}, status)

    @staticmethod
    def _gemini_chunk(part: Json, finish: str = "") -> Json:
        candidate: Json = {"content": {"role": "model", "parts": [part]}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "stub", "responseId": unique("r")}

    def _gemini_tool(self, word: str) -> tuple[str, Json] | None:
        tools = self.stub.tools
        if command := tools.command(word):
            return "run_shell_command", {"command": command, "description": "Leave a mark"}
        if file := tools.file(word):
            return "write_file", {"file_path": file["path"], "content": file["content"]}
        if question := tools.question(word, type="choice"):
            return "ask_user", question
        return None
