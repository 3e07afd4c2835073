"""The OpenAPI document. Filled below."""

from __future__ import annotations

from typing import Any


def document() -> dict[str, Any]:
    """Give the document."""
    return {"openapi": "3.1.0", "info": {"title": "teleclaude", "version": "0"}, "paths": {}}
