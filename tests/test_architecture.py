"""The house rules that a picture of the imports shows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "bridgex_core"

# From the ground up: a module may import those before it, never one after it.
ORDER = (
    "errors", "text_files", "progress", "decoding",
    "hsic_bandwidth", "hsic_features", "hsic_products", "hsic_estimators", "hsic",
    "language_files", "languages", "prompts", "perturbations", "corpora", "lexicon_files",
    "lexicons", "scoring", "statistical_tests", "text_language", "model_sources", "embedded",
    "machine", "models", "entries", "store", "keeping", "user_files",
    "activations", "probe", "generation", "candidates", "endpoints",
    "fluency", "neurons", "collection", "similarity", "language_graph", "typology",
    "spectrum", "pairs", "alignment", "concepts", "lens", "drivers", "interventions", "perplexity",
    "detection",
    "neuron_classes", "depth_parts", "neuron_formats",
    "neuron_files", "task_files", "xicl", "evaluation", "bli",
    "tasks", "study", "trials", "chain_files", "findings", "robustness", "effects", "atlas",
    "probing", "hsic_subsamples", "bridge_sets", "bridge_hsic", "bridge_null", "bridges", "rankers",
    "evidence", "figures",
    "jobs", "cli",
)  # fmt: skip
# Deferred until called, because a lower module offers what a higher one registers.
DEFERRED = {("model_sources", "embedded")}


def top_name(path: Path) -> str:
    relative = path.relative_to(CORE)
    return relative.parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Core modules that a file imports."""
    found = set()
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else ()
            full = [*base, *(node.module or "").split(".")] if node.module else list(base)
            if full[:1] == ["bridgex_core"]:
                found |= {full[1]} if len(full) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == "bridgex_core" and len(name) > 1}
    return found


def modules() -> list[Path]:
    return sorted(
        path for path in CORE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")
        or path.parent != CORE
    )  # fmt: skip


def test_every_module_has_a_place():
    assert {top_name(path) for path in modules()} == set(ORDER)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CORE)))
def test_imports_point_down(path):
    own = top_name(path)
    for name in imported(path) & set(ORDER):
        if name != own and (own, name) not in DEFERRED:
            assert ORDER.index(name) < ORDER.index(own), f"{own} imports {name}"


def test_the_core_never_imports_streamlit():
    for path in CORE.rglob("*.py"):
        assert "streamlit" not in path.read_text(encoding="utf-8"), path


def test_pages_compute_nothing_and_open_nothing():
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert "open" not in calls, path
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            (node.module or "").split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }
        assert not names & {"numpy", "scipy", "torch", "transformers", "os", "shutil"}, path


def test_what_a_page_needs_loads_neither_torch_nor_transformers():
    code = (
        "import sys, bridgex_core.spectrum, bridgex_core.collection, bridgex_core.figures, "
        "bridgex_core.jobs, bridgex_core.model_sources, bridgex_core.typology; "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
