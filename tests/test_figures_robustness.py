"""Structure of the figure of drops; how it looks is for eyes."""

import numpy as np
import pandas as pd
import pytest

from bridgex_core.errors import InputError
from bridgex_core.figures import drop_chart
from bridgex_core.languages import register

REGISTER = register()
ENG = "eng_Latn"


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        (kind, bridge, drop, drop - 0.1, drop + 0.05, p)
        for kind, bridge, drop, p in (
            ("typos", ENG, 0.2, 0.01), ("typos", "", 0.3, 0.04),
            ("case", "", -0.1, 0.5), ("case", ENG, 0.0, 1.0), ("case", "<b>", 0.0, 1.0),
        )
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["perturbation", "bridge", "drop", "low", "high", "p_holm"])
    return frame.assign(items=20, clean=0.5, perturbed=0.5 - frame["drop"], p_value=0.01)


def test_direct_stands_first_and_every_point_by_its_route(table):
    figure = drop_chart(table, "mrr", REGISTER)
    labels = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    assert list(labels) == ["direct", "via English", "via &lt;b&gt;"]
    assert list(labels.values()) == sorted(labels.values(), reverse=True)
    typos, case = figure.data
    assert (typos.name, case.name) == ("Typos", "Case")
    assert list(typos.x) == [20, 30]
    nearest = [min(labels, key=lambda name: abs(labels[name] - y)) for y in (*typos.y, *case.y)]
    assert nearest == ["via English", "direct", "direct", "via English", "via &lt;b&gt;"]
    assert len({*typos.y, *case.y}) == 5
    low, high = figure.layout.yaxis.range
    assert all(low < y < high for y in (*typos.y, *case.y))
    np.testing.assert_allclose(case.error_x.arrayminus, 10)
    np.testing.assert_allclose(case.error_x.array, 5)
    assert "mean reciprocal rank" in figure.layout.xaxis.title.text
    assert "drop −10.0, 95 % interval −20.0 to −5.0" in case.customdata[0][0]


def test_what_can_be_told_from_chance_is_filled_and_kinds_differ_by_shape(table):
    typos, case = drop_chart(table, "accuracy", REGISTER).data
    assert not any(symbol.endswith("-open") for symbol in typos.marker.symbol)
    assert all(symbol.endswith("-open") for symbol in case.marker.symbol)
    assert typos.marker.symbol[0] != case.marker.symbol[0].removesuffix("-open")
    assert typos.marker.color != case.marker.color


def test_one_item_has_no_whiskers(table):
    single = table.assign(low=float("nan"), high=float("nan"), items=1)
    for points in drop_chart(single, "accuracy", REGISTER).data:
        assert not any(points.error_x.array)
        assert "interval" not in points.customdata[0][0]


def test_nothing_to_draw(table):
    with pytest.raises(InputError, match="measure a perturbation"):
        drop_chart(table[:0], "accuracy", REGISTER)
