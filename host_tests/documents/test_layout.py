"""The house is as tools/README.md draws it: its packages, what each may import, how much a module or a folder holds."""

import ast
import re
from pathlib import Path

import pytest

from swarm.paths import ROOT

README = ROOT / "tools" / "README.md"
PACKAGES = {"swarm": ROOT / "tools" / "swarm", "faction": ROOT / "lib" / "faction"}
FOLDERS = [ROOT / name for name in ("tools/swarm", "host_tests", "lib", "firmware")]
LINES = 300
MODULES = 15  # of a folder
EVERYTHING = "everything below"


# What the README says


def table(readme):
    """{package: the packages that it may import}, from the roof down. ValueError for a row that names one above it."""
    ground = re.findall(r"`(\w+)`", re.search(r"The ground is (.*?)\.", readme, re.DOTALL)[1])
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$", readme, re.MULTILINE)
    found = {}
    for at, (package, cell) in enumerate(rows):
        below = [name for name, _ in rows[at + 1 :]]
        named = re.findall(r"`(\w+)`", cell) + (ground if "the ground" in cell else [])
        found[package] = set(below if EVERYTHING in cell else named)
        if above := found[package] - set(below):
            raise ValueError(f"{package} may import {', '.join(sorted(above))}, which does not stand below it")
    return found


def excused(readme):
    """The files that may be longer than LINES."""
    return set(re.findall(r"^- `([\w/.]+)`: \w+", readme, re.MULTILINE))


# What the code does


def modules(folder):
    """{dotted name: file} of a package."""
    names = {}
    for file in folder.rglob("*.py"):
        parts = file.relative_to(folder.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return names


def imports(name, known):
    """The known modules that a module imports: anywhere in it, for types only too, or by their names in a string."""
    found = set()
    for node in ast.walk(ast.parse(known[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = name.split(".") if known[name].name == "__init__.py" else name.split(".")[:-1]
            base = inside[: len(inside) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            found |= {full if (full := f"{origin}.{alias.name}") in known else origin for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            found.add(node.value)  # for importlib, or after -m
    return found & known.keys() - {name}


def package_of(module):
    """swarm.sim.attack.run is of sim; swarm itself of none."""
    return module.split(".")[1] if "." in module else ""


def strangers(allowed, folder):
    """Packages that are not in the table, and rows of it without a package."""
    there = {package_of(name) for name in modules(folder)} - {""}
    return [f"{name} is not in the table" for name in sorted(there - allowed.keys())] + [
        f"the table has {name}, which is no package" for name in sorted(allowed.keys() - there)
    ]


def trespasses(allowed, folder):
    """Imports that the table does not allow."""
    known = modules(folder)
    found = []
    for name in sorted(known):
        package = package_of(name)
        may = allowed.get(package, set())
        found += [
            f"{name} imports {other}: {package} may import {', '.join(sorted(may)) or 'nothing'}"
            for other in sorted(imports(name, known))
            if package_of(other) not in {"", package} | may
        ]
    return found


def circles(folder):
    """Modules that import each other, directly or through others, for types only too."""
    known = modules(folder)
    left = {name: imports(name, known) for name in known}
    while done := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in done}
    # What is left is in a circle or leads to one; what nobody there imports only leads to it.
    while outer := left.keys() - set().union(*left.values(), ()):
        left = {name: others for name, others in left.items() if name not in outer}
    return sorted(left)


def crowded(folders):
    """Folders with more modules than a reader keeps in mind."""
    every = {file.parent for folder in folders for file in folder.rglob("*.py")}
    counts = {folder: len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) for folder in every}
    return [f"{folder}: {count} modules, over {MODULES}" for folder, count in sorted(counts.items()) if count > MODULES]


def long(folders, root):
    """Files over LINES, tests aside, by their paths below root."""
    files = [file for folder in folders for file in folder.rglob("*.py") if not file.name.startswith("test_")]
    return {
        file.relative_to(root).as_posix()
        for file in files
        if len(file.read_text(encoding="utf-8").splitlines()) > LINES
    }


# The house


TEXT = README.read_text(encoding="utf-8")
REMEDY = "mend it, or change tools/README.md with the reason"


def test_every_package_is_in_the_table_and_nothing_else():
    assert strangers(table(TEXT), PACKAGES["swarm"]) == [], REMEDY


def test_packages_import_only_what_the_table_allows():
    assert trespasses(table(TEXT), PACKAGES["swarm"]) == [], REMEDY


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package):
    assert circles(PACKAGES[package]) == []


def test_no_folder_is_crowded():
    assert crowded(FOLDERS) == []


def test_only_the_files_that_the_readme_excuses_are_long():
    assert long(FOLDERS, ROOT) == excused(TEXT), REMEDY


def test_every_folder_of_the_tests_is_told_of():
    told = set(re.findall(r"`(?:host_tests/)?(\w+)`", TEXT))
    there = {file.name for file in (ROOT / "host_tests").iterdir() if any(file.glob("**/*.py"))} - {"__pycache__"}
    assert there <= told, f"{there - told}: {REMEDY}"
    columns = re.findall(r"^\| `\w+` \| [^|]+ \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)
    assert {name for cell in columns for name in re.findall(r"`(\w+)`", cell)} <= there


def test_the_drawing_has_every_package():
    drawing = re.search(r"```text\n(.*?)```", TEXT, re.DOTALL)[1]
    assert set(table(TEXT)) <= set(re.findall(r"\w+", drawing))


def test_the_files_where_to_begin_are_there():
    section = TEXT.split("## Where to begin")[1].split("##")[0]
    paths = [path for path in re.findall(r"`([\w/]+(?:\.\w+|/\w+))`", section) if "NAME" not in path]
    places = [ROOT, PACKAGES["swarm"], PACKAGES["faction"], ROOT / "boards" / "RPI_PICO"]
    assert len(paths) > 10
    assert [path for path in paths if not any((place / path).exists() for place in places)] == []


# A small house, in which something is wrong


SMALL = """
The ground is `paper`, `ink`. All else stands on it.

| `shop` | sells | everything below | `x` |
| `press` | prints | the ground | `x` |
| `paper` | is bought | `ink` | `x` |
| `ink` | is made | nothing | `x` |

- `swarm/press/all.py`: one program
"""
MODULE = {
    "shop/__init__.py": "",
    "shop/till.py": "from swarm import press\nimport swarm.ink\n",
    "press/__init__.py": "from swarm.paper import sheet\n",
    "press/all.py": "from . import plate\n" + "x = 1\n" * LINES,
    "press/plate.py": "import swarm\nfrom swarm.ink import black\n",
    "paper/__init__.py": "",
    "paper/sheet.py": "",
    "ink.py": "black = 0\n",
    "__init__.py": "",
}


def build(folder, changes):
    """That house with other files; returns its folder."""
    for name, text in (MODULE | changes).items():
        file = folder / "swarm" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            file.write_text(text)
    return folder / "swarm"


def wrong(folder, readme=SMALL):
    """All that is wrong with a house."""
    allowed = table(readme)
    found = strangers(allowed, folder) + trespasses(allowed, folder) + circles(folder) + crowded([folder])
    return found + sorted(long([folder], folder.parent) ^ excused(readme))


def test_a_small_house_is_in_order(tmp_path):
    assert wrong(build(tmp_path, {})) == []
    assert table(SMALL)["press"] == {"paper", "ink"}


@pytest.mark.parametrize(
    "text",
    (
        "import swarm.shop.till\n",
        "from swarm.shop.till import drawer\n",
        "from swarm.shop import till\n",
        "from swarm import shop\n",
        "from ..shop import till\n",
        "def late():\n    from swarm.shop import till\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from swarm.shop.till import Till\n",
        "import importlib\nimportlib.import_module('swarm.shop.till')\n",
        "command = ['python', '-m', 'swarm.shop.till']\n",
    ),
)
def test_a_wrong_import_is_noticed(tmp_path, text):
    (said,) = wrong(build(tmp_path, {"press/plate.py": text}))
    assert re.fullmatch(r"swarm\.press\.plate imports swarm\.shop(\.till)?: press may import ink, paper", said)


@pytest.mark.parametrize("how", ("from swarm.press import {}\n", "def f():\n    import swarm.press.{}\n"))
def test_a_circle_is_noticed(tmp_path, how):
    house = build(tmp_path, {"press/plate.py": how.format("roll"), "press/roll.py": how.format("plate")})
    assert wrong(house) == ["swarm.press.plate", "swarm.press.roll"], "and not all.py, which leads there"


def test_a_package_without_a_row_and_a_row_without_a_package_are_noticed(tmp_path):
    house = build(tmp_path, {"cellar/__init__.py": "import swarm.ink\n"})
    assert wrong(house)[0] == "cellar is not in the table"
    rows = SMALL + "| `attic` | is empty | nothing | `x` |\n"
    assert wrong(build(tmp_path / "other", {}), rows) == ["the table has attic, which is no package"]


def test_a_row_that_looks_up_is_refused():
    with pytest.raises(ValueError, match="ink may import press, which does not stand below it"):
        table(SMALL.replace("is made | nothing", "is made | `press`"))


def test_long_files_and_crowded_folders_are_noticed(tmp_path):
    many = {f"paper/sheet{number}.py": "" for number in range(MODULES)}
    long_one = {"ink.py": "x = 1\n" * (LINES + 1), "press/all.py": "", "paper/test_all.py": "x = 1\n" * 2 * LINES}
    said = wrong(build(tmp_path, many | long_one))
    assert said[0].endswith(f"paper: {MODULES + 2} modules, over {MODULES}")
    assert said[1:] == ["swarm/ink.py", "swarm/press/all.py"], "and what is excused and is not long"
    assert Path(said[0].split(":")[0]).name == "paper"
