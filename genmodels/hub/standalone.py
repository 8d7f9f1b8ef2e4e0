"""The code that a pushed pipeline carries, so that plain diffusers loads it where genmodels is not installed.

`DiffusionPipeline.from_pretrained("ns/name")`, told to trust the repository's code, wants the pipeline's class in one file
at the root and each network's class in one file beside its weights. These files are cut out of the package's own sources:
of every module the definitions that the class needs, in their order.
"""

from __future__ import annotations

import ast
import json
import re
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from .. import __version__
from ..errors import UserError
from ..families import HOMES, NETWORK_HOMES
from ..folder import INDEX, ModelFolder, write_text

PACKAGE = Path(__file__).parent.parent
# Python 3.11 fails to parse in several threads at once: it counts the depth of all of them together.
PARSING = threading.Lock()
# What a class does only where the package is installed: find built-in names, push with a card, compare with datasets, refuse
# the code that is carried here, and make networks that it was not loaded with.
OMITTED = {
    "ImagePipeline": (
        *("from_pretrained", "_load", "_components_in", "_component_classes", "load_config"),
        *("push_to_hub", "export", "neighbors", "family"),
    ),
    "PixelDiffusionPipeline": ("step_numbers",),
    "EncoderDecoderPipeline": ("fit_latents", "_codes_of"),
    "VAEPipeline": ("_codes_of",),
    "AttributeEditingMixin": ("learn_attribute", "learn_attributes", "_set_directions"),
}

HEADER = '''"""{class_name} of genmodels {version}, in one file that needs torch and diffusers only.

Made from the sources of the package by `genmodels.hub.standalone`, which is the place to change it. Licence: Apache-2.0.
"""

from __future__ import annotations

'''


@dataclass
class Module:
    """A source file of the package: its text, and what each name at its top level is.

    Attributes:
        name: inside the package, such as "models.vae".
        lines: of the text.
        definitions: name to the statement that defines it.
        imports: name to the statement that imports it from elsewhere, as text.
        relatives: name to the module of the package and the name there.
    """

    name: str
    lines: list[str] = field(default_factory=list)
    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    relatives: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str) -> Module:
        """Parse a module of the package."""
        text = (PACKAGE / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        module = cls(name, text.splitlines())
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    renamed = f" as {alias.asname}" if alias.asname else ""
                    module.imports[alias.asname or alias.name] = f"import {alias.name}{renamed}"
            elif isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    used = alias.asname or alias.name
                    if statement.level:
                        package = name.split(".")[: -statement.level] if statement.level <= name.count(".") else []
                        home = ".".join([*package, *([statement.module] if statement.module else [])])
                        module.relatives[used] = (home, alias.name)
                    else:
                        renamed = f" as {alias.asname}" if alias.asname else ""
                        module.imports[used] = f"from {statement.module} import {alias.name}{renamed}"
            elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
                module.definitions[statement.name] = statement
            elif isinstance(statement, ast.Assign | ast.AnnAssign):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    for node in ast.walk(target):
                        if isinstance(node, ast.Name):
                            module.definitions[node.id] = statement
        return module

    def text_of(self, statement: ast.stmt) -> str:
        """A definition with its decorators and the comment above it, without the methods that are omitted."""
        start = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
        while self.lines[start - 2].startswith("#"):
            start -= 1
        dropped: set[int] = set()
        for method in omitted_methods(statement):
            first = min([method.lineno, *(d.lineno for d in method.decorator_list)])
            # The blank line above goes with it.
            dropped |= set(range(first - 1, end_of(method) + 1))
        lines = [self.lines[i - 1] for i in range(start, end_of(statement) + 1) if i not in dropped]
        return "\n".join(lines).rstrip()


def end_of(statement: ast.stmt) -> int:
    """The number of its last line."""
    return statement.end_lineno or statement.lineno


def omitted_methods(statement: ast.stmt) -> list[ast.FunctionDef]:
    """The methods of a class that carried code goes without."""
    names = OMITTED.get(getattr(statement, "name", ""), ())
    return [node for node in getattr(statement, "body", []) if getattr(node, "name", None) in names]


def names_in(statement: ast.stmt) -> set[str]:
    """Every name that a definition uses, outside the methods that are omitted."""
    skipped = {node for method in omitted_methods(statement) for node in ast.walk(method)}
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and node not in skipped}


class Cut:
    """The definitions that one class needs, gathered over the modules of the package."""

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}
        self.imports: set[str] = set()
        # Networks that a pipeline's annotations name: they come from files of their own.
        self.networks: set[str] = set()
        self.parts: dict[tuple[str, int], str] = {}

    def take(self, module_name: str, name: str) -> None:
        """Take the definition of a name, after all that it needs."""
        if module_name not in self.modules:
            self.modules[module_name] = Module.read(module_name)
        module = self.modules[module_name]
        statement = module.definitions[name]
        place = (module_name, statement.lineno)
        if place in self.parts:
            return
        self.parts[place] = module.text_of(statement)
        for used in sorted(names_in(statement)):
            if used in module.definitions:
                self.take(module_name, used)
            elif used in module.imports:
                self.imports.add(module.imports[used])
            elif used in module.relatives:
                home, original = module.relatives[used]
                if module_name.startswith("pipelines.") and home.startswith("models."):
                    self.networks.add(original)
                else:
                    self.take(home, original)

    def order(self) -> list[str]:
        """The modules, each after those that it imports from."""
        done: list[str] = []

        def visit(name: str) -> None:
            for home in sorted({home for home, _ in self.modules[name].relatives.values()} & self.modules.keys()):
                if home not in done:
                    visit(home)
            if name not in done:
                done.append(name)

        for name in sorted(self.modules):
            visit(name)
        return done

    def text(self, class_name: str) -> str:
        """The file: header, imports, and the definitions of each module in their order."""
        if self.networks:
            self.imports.add("from diffusers import ModelMixin")
        blocks = [
            self.parts[place] for module in self.order() for place in sorted(p for p in self.parts if p[0] == module)
        ]
        if self.networks:
            aliases = " = ".join([*sorted(self.networks), "ModelMixin"])
            blocks.insert(0, f"# Each network comes with its own file of code.\n{aliases}")
        head = HEADER.format(class_name=class_name, version=__version__)
        body = blocks[0]
        for before, block in pairwise(blocks):
            plain = not re.match(r"(@|class |def )", block) and not re.match(r"(@|class |def )", before)
            body += ("\n" if plain else "\n\n\n") + block
        return head + sorted_imports(self.imports) + "\n\n" + body + "\n"


def sorted_imports(imports: set[str]) -> str:
    """Import statements in groups: plain ones, then those of names, one line per module."""
    plain = sorted(line for line in imports if line.startswith("import "))
    names: dict[str, list[str]] = {}
    for line in imports:
        if match := re.fullmatch(r"from (\S+) import (.+)", line):
            names.setdefault(match[1], []).append(match[2])
    return (
        "\n".join([*plain, *(f"from {home} import {', '.join(sorted(names[home]))}" for home in sorted(names))]) + "\n"
    )


def file_stem(class_name: str) -> str:
    """CGANGenerator to cgan_generator."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def code_of(class_name: str) -> str:
    """The text of the file that defines a pipeline or a network."""
    cut = Cut()
    with PARSING:
        cut.take(HOMES[class_name], class_name)
    return cut.text(class_name)


def carried_files(folder: Path) -> dict[Path, str]:
    """What makes a saved pipeline loadable in plain diffusers: files of code, then the model_index.json that names them.

    Args:
        folder: what `save_pretrained` wrote. Of one of another kind, such as an evaluator's, nothing is returned.

    Raises:
        UserError: model_index.json is damaged.
    """
    saved = ModelFolder(folder)
    if saved.family is None:
        return {}
    index, class_name = dict(saved.index), saved.family.class_name
    stem = f"pipeline_{file_stem(class_name).removesuffix('_pipeline')}"
    files = {folder / f"{stem}.py": code_of(class_name)}
    index["_class_name"] = [stem, class_name]
    for component, value in index.items():
        network = value[1] if isinstance(value, list) and len(value) == 2 else None
        if not component.startswith("_") and network in NETWORK_HOMES:
            module = f"modeling_{file_stem(network)}"
            files[folder / component / f"{module}.py"] = code_of(network)
            index[component] = [module, network]
    # Last, so that the index never names a file that is not there.
    files[folder / INDEX] = json.dumps(index, indent=2, sort_keys=True) + "\n"
    return files


def add_code(folder: str | Path) -> list[Path]:
    """Write `carried_files` into a saved pipeline; files that are right already are left as they are.

    Returns:
        The files that were written.

    Raises:
        UserError: model_index.json is damaged or cannot be replaced.
    """
    written = []
    for path, text in carried_files(Path(folder)).items():
        try:
            path.parent.mkdir(exist_ok=True)
            if write_text(path, text):
                written.append(path)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error
    return written
