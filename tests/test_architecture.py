"""The rules of the house: who imports whom, what stays unloaded, and what never enters the tree."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from pathlib import Path

import pytest
from helpers import REPO, run_fresh_python, run_python
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The parts of genmodels, lowest first: each file imports only from its own part and those before it, inside functions and for
# types as well. "package" is genmodels/__init__.py. A part that is not listed fails, so that a new one gets its place.
LAYERS = (
    ("families",),
    ("package", "checks", "errors", "privacy", "flags", "interrupts", "grid", "losses"),
    ("adversarial",),
    ("models", "images", "latents", "variational"),
    ("pixels", "zoo", "folder"),
    ("hub",),
    ("data",),
    ("features",),
    ("export",),
    ("pipelines",),
    ("evaluation",),
    ("training", "live"),
    ("ui",),
    ("commands",),
    ("__main__",),
)
CODE = sorted(
    path for pattern in ("genmodels/**/*.py", "train/*.py", "spaces/*/*.py", "app.py") for path in REPO.glob(pattern)
)
MIB = 2**20


def part_of(module: str) -> str:
    """genmodels.models.vae and models.vae inside the package alike belong to "models"."""
    parts = module.split(".")
    if len(parts) == 1:
        return "package"
    home = REPO / "genmodels"
    return parts[1] if (home / parts[1]).is_dir() or (home / f"{parts[1]}.py").is_file() else "package"


def imports_of(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at any depth of its code, relative imports resolved."""
    package = path.relative_to(REPO).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from genmodels import zoo` names a module, `from genmodels.zoo import ROOT` a name in one: take both readings.
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            found |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found


def name_of(path: Path) -> str:
    """The module of a file, such as "genmodels.models.vae"."""
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


def home_of(name: str, files: dict[str, Path]) -> str | None:
    """The module that holds a name; None if it is none of these files."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name or None


def code_id(path: Path) -> str:
    return str(path.relative_to(REPO))


def test_imports_are_found_in_every_form(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "REPO", tmp_path)
    path = tmp_path / "genmodels" / "ui" / "tab.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from .. import zoo\nfrom ..data import load\nfrom .x import y\ndef f():\n import genmodels.hub\n"
        "import_module('genmodels.training')\n"
    )
    assert imports_of(path) == {
        "genmodels.zoo",
        "genmodels.data.load",
        "genmodels.ui.x.y",
        "genmodels.hub",
        "genmodels.training",
    }


def test_imports_follow_the_design():
    for path in CODE:
        imports = imports_of(path)
        assert not {name for name in imports if name.split(".")[0] in ("app", "train", "tests")}, path
        if path.is_relative_to(REPO / "genmodels"):
            own = part_of(name_of(path))
            (place,) = (i for i, layer in enumerate(LAYERS) if own in layer)
            below = {part for layer in LAYERS[:place] for part in layer}
            assert {part_of(name) for name in imports if name.split(".")[0] == "genmodels"} <= below | {own}, path


def test_no_file_imports_itself_by_way_of_others():
    files = {name_of(path): path for path in CODE if path.is_relative_to(REPO / "genmodels")}
    imports = {
        name: {home for used in imports_of(path) if (home := home_of(used, files))} for name, path in files.items()
    }
    circles = {name: imports[name] - {name} for name in files}
    # What imports nothing that is left is in no circle.
    while free := {name for name, used in circles.items() if not used & circles.keys()}:
        circles = {name: used for name, used in circles.items() if name not in free}
    assert not circles


def loaded_modules(code: str) -> set[str]:
    """Top-level modules that a fresh Python has loaded after running `code`."""
    done = run_fresh_python("-c", f"import sys\n{code}\nprint('loaded', *{{m.split('.')[0] for m in sys.modules}})")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import genmodels",
        "import genmodels; dir(genmodels)",
        "from genmodels import zoo; zoo.load_sample('zoo:mnist-sample', 'test')",
        "from genmodels.__main__ import main; assert main(['list']) == 0",
        "from genmodels.commands import evaluate, push, push_dataset, verify",
    ],
)
def test_light_paths_load_no_heavy_library(code):
    assert not loaded_modules(code) & {"torch", "diffusers", "gradio", "datasets"}


@pytest.mark.slow
def test_lazy_names_all_resolve():
    done = run_python("-c", "import genmodels; print(*[getattr(genmodels, n) for n in genmodels.__all__])")
    assert done.returncode == 0, done.stderr
    done = run_python("-c", "import genmodels; genmodels.Typo")
    assert "module 'genmodels' has no attribute 'Typo'" in done.stderr


def test_nothing_unpickles_or_runs_remote_code():
    for path in CODE:
        modules = {name.split(".")[0] for name in imports_of(path)}
        assert not modules & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                options = {option.arg: getattr(option.value, "value", None) for option in node.keywords}
                # The standard FID's network exists as a pickle only: it is read where that can hold nothing but tensors.
                checked = path == REPO / "genmodels/features/inception.py" and options.get("weights_only") is True
                assert ast.unparse(node.func) != "torch.load" or checked, path
                assert options.get("trust_remote_code") is not True, path
                assert options.get("weights_only") is not False, path


def tracked_files() -> list[Path]:
    """What git tracks or would track."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        capture_output=True,
        check=True,
    )
    return [path for name in done.stdout.decode().split("\0") if name and (path := REPO / name).is_file()]


def test_tree_stays_small_and_free_of_pickles():
    files = tracked_files()
    assert files
    assert not [code_id(path) for path in files if path.stat().st_size > 8 * MIB]
    assert not [code_id(path) for path in files if path.suffix in (".bin", ".ckpt", ".pkl", ".pickle", ".pt", ".pth")]


def test_no_line_of_the_page_is_longer_than_a_screen():
    files = [path for suffix in ("css", "html", "js") for path in (REPO / "genmodels" / "ui").rglob(f"*.{suffix}")]
    assert files
    lines = [(code_id(path), number, line) for path in files for number, line in enumerate(path.open(), 1)]
    assert [(name, number) for name, number, line in lines if len(line.rstrip("\n")) > 120] == []


def test_requirements_pin_exactly_what_the_package_needs():
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    parts = [project["dependencies"], *(project["optional-dependencies"][part] for part in ("train", "eval", "app"))]
    ranges = {canonicalize_name(r.name): r.specifier for part in parts for r in map(Requirement, part)}
    del ranges["genmodels"]
    lines = [line for line in (REPO / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {canonicalize_name(r.name): r.specifier for r in map(Requirement, lines)}
    assert pins.keys() == ranges.keys()
    for name, pin in pins.items():
        (only,) = pin
        assert only.operator == "=="
        assert ranges[name].contains(only.version), name
