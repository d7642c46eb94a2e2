"""Files that commands write."""

import pytest

from .conftest import ACTIVE


@pytest.mark.parametrize("option", ["--csv", "--html", "--graphml"])
def test_places_that_cannot_be_written(refused, hand_made, tmp_path, option):
    words = ["spectrum", *hand_made.options, *ACTIVE, "--languages", "sw,en,de"]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for place in (tmp_path, tmp_path / "no" / "where", loop, tmp_path / ("x" * 300)):
        assert "can't be written" in refused(*words, option, place)
