"""The test for a pane's mark."""

from __future__ import annotations

import pytest

from teleclaude.core.pane_mark import shows_mark


@pytest.mark.parametrize("name", ["", "a,b", "a}b", "#(touch x)", 'a"', "x" * 65, "é"])
def test_only_an_id_goes_into_a_format(name: str) -> None:
    """What is no id never becomes part of a format, which tmux would act on."""
    with pytest.raises(ValueError, match="no session's id"):
        shows_mark(name)
