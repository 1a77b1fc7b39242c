"""How answers look on a terminal."""

from __future__ import annotations

import pytest
from civicbus_deploy.oversight.showing import print_rows


def test_a_zero_is_shown_and_nothing_where_there_is_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_rows([{"leaf": 0, "case": None}], ("leaf", "case", "officer"))
    names, values = capsys.readouterr().out.splitlines()
    assert names.split() == ["leaf", "case", "officer"]
    assert values.split() == ["0"]
