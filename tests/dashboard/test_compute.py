"""Computing languages from the Spectrum page."""

from pathlib import Path
from typing import Any

import pytest

from bridgex_core import jobs
from bridgex_core.collection import STATISTICS
from bridgex_core.errors import InputError
from bridgex_core.store import Store

from .driving import (
    Drawn,
    Office,
    Open,
    alive,
    calm,
    collection,
    job,
    link,
    save,
    synthetic,
    words_of,
)


def test_missing_languages_are_named_and_computed_on_request(
    opened: Open, office: Office, drawn: Drawn, root: Path
) -> None:
    app = calm(opened(languages="deu_Latn,eng_Latn,fra_Latn,zul_Latn"))
    told = words_of(app)
    assert "1 language not computed yet: Zulu. The picture shows the other 3." in told.replace(
        "**", ""
    )
    assert "10 kB of text, on cpu in float32: about 3.0 GiB" in told
    assert set(drawn["spectrum_heatmap"][0].languages) == {"deu_Latn", "eng_Latn", "fra_Latn"}
    office["known"] = [job()]
    calm(app.button(key="compute").click().run())
    assert office["calls"] == [("start", job().title, [*job().argv])]
    bar = app.get("progress")[0].proto
    assert bar.value == 40
    assert "about 2 min left" in bar.text.replace("\\", "")
    assert set(drawn["spectrum_heatmap"][0].languages) == {"deu_Latn", "eng_Latn", "fra_Latn"}
    calm(app.button(key=f"cancel_{job().id}").click().run())
    assert office["calls"][-1] == ("cancel", job().id)
    save(Store(root), "zul_Latn", synthetic(("zul_Latn",))["zul_Latn"])
    office["known"] = [job("done")]
    calm(app.run())
    assert "zul_Latn" in drawn["spectrum_heatmap"][0].languages
    assert "not computed yet" not in words_of(app)
    assert not app.get("progress")


def test_missing_languages_can_be_left_out(opened: Open, office: Office) -> None:
    app = opened(languages="deu_Latn,eng_Latn,fra_Latn,zul_Latn")
    calm(app.button(key="leave_out").click().run())
    assert link(app)["languages"] == "deu_Latn,eng_Latn,fra_Latn"


def test_a_stopped_job_is_found_again_and_goes_on(opened: Open, office: Office) -> None:
    office["known"] = [job("interrupted")]
    app = calm(opened())
    assert "interrupted at 40%" in words_of(app)
    calm(app.button(key=f"resume_{job().id}").click().run())
    office["known"] = [job("cancelled")]
    assert "cancelled at 40%" in words_of(calm(app.run()))
    office["known"] = [job("failed", error="The disk is full.")]
    assert "failed at 40%: Zulu. The disk is full." in words_of(calm(app.run())).replace("**", "")
    calm(app.button(key=f"forget_{job().id}").click().run())
    assert [call[0] for call in office["calls"]] == ["resume", "forget"]


def test_jobs_about_something_else_do_not_disturb(opened: Open, office: Office) -> None:
    computed = tuple(word.replace("zul_Latn", "eng_Latn") for word in job().argv)
    other_format = (*job().argv[:-1], "bfloat16")
    other_command = ("study", *job().argv[1:])
    office["known"] = [
        job("interrupted", argv=argv) for argv in (computed, other_format, other_command)
    ]
    app = calm(opened())
    assert not [button for button in app.button if button.label == "Go on"]


def test_a_button_that_fails_says_why(
    opened: Open, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise InputError("The disk of the store is full: free some space.")

    monkeypatch.setattr(jobs, "start", full)
    app = opened(languages="deu_Latn,eng_Latn,fra_Latn,zul_Latn")
    alive(app.button(key="compute").click().run())
    assert "The disk of the store is full: free some space." in words_of(app)
    assert app.get("plotly_chart")


def test_without_its_model_nothing_can_be_computed(opened: Open) -> None:
    app = calm(opened(languages="deu_Latn,eng_Latn,fra_Latn,zul_Latn"))
    assert app.button(key="compute").disabled
    assert "is not installed" in words_of(app)
    assert "make setup" in words_of(app)


def test_no_language_of_this_format_is_computed(opened: Open) -> None:
    app = opened()
    calm(app.segmented_control(key="dtype_widget").set_value("bfloat16").run())
    assert "15 languages not computed yet" in words_of(app)
    assert "press Compute" in words_of(app)
    assert link(app) == {"dtype": "bfloat16"}


def test_a_damaged_result_is_missing_not_fatal(opened: Open, root: Path, drawn: Drawn) -> None:
    store = Store(root)
    of = collection(store)
    key = of.key(STATISTICS, of.corpus.text("deu_Latn"))
    data = root / STATISTICS / key[:2] / key / "data.safetensors"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(bytes(content))
    app = calm(opened())
    assert "deu_Latn" not in drawn["spectrum_heatmap"][0].languages
    assert "1 language not computed yet:** German." in words_of(app)
