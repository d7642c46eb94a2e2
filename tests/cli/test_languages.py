"""`languages`."""

from bridgex_core.languages import STUDY_LANGUAGES

from .conftest import LINE, SIX


def test_languages_as_json(run, collected):
    found = run("languages", *collected.options, "--json").json
    assert len(found) >= 80
    by_code = {one["code"]: one for one in found}
    assert set(STUDY_LANGUAGES) <= by_code.keys()
    swahili = by_code["swh_Latn"]
    assert (swahili["name"], swahili["autonym"], swahili["script"]) == (
        "Swahili", "Kiswahili", "Latn",
    )  # fmt: skip
    assert (swahili["direction"], swahili["family"]) == ("ltr", "Atlantic-Congo")
    assert by_code["heb_Hebr"]["direction"] == "rtl"
    assert {code for code, one in by_code.items() if one["in_corpus"]} == set(SIX.split(","))
    assert {code for code, one in by_code.items() if one["stored"]} == set(SIX.split(","))
    assert swahili["stored"] == ["float32"]


def test_languages_searches_and_filters(run, collected):
    assert run("languages", "Kiswahili", *collected.options, "--json").json[0]["code"] == "swh_Latn"
    low = run("languages", "--low-resource", *collected.options, "--json").json
    assert len(low) >= 45
    assert all(one["resource_class"] <= 2 and one["low_resource"] for one in low)
    assert run("languages", "qqqqqqqq", *collected.options, "--json").json == []


def test_languages_as_a_table(run, collected):
    lines = run("languages", "finnish", *collected.options).out.splitlines()
    assert lines[0].split()[:3] == ["code", "name", "family"]
    assert lines[1].split() == [
        "fin_Latn", "Finnish", "Uralic", "Latin", "ltr", "4", "yes", "float32", "Suomi",
    ]  # fmt: skip
    assert lines[-1].startswith("1 language, 1 with a text in Folder ")


def test_languages_of_the_user_are_there(run, place):
    place.store.mkdir()
    (place.store / "mine.txt").write_text(LINE * 4)
    (place.store / "languages.toml").write_text(
        '[[language]]\ncode = "nyn_Latn"\nname = "Nyankole"\nautonym = "Runyankore"\n'
        'script = "Latn"\ntext = "mine.txt"\n'
    )
    (found,) = run("languages", "runyankore", *place.options, "--json").json
    assert (found["code"], found["in_corpus"], found["stored"]) == ("nyn_Latn", True, [])
