"""What mutation testing has found, kept from run to run."""

import hashlib
import json
from itertools import chain

from swarm.paths import ROOT
from swarm.proof.mutation.forks import KILLED
from swarm.proof.mutation.modules import MODULES, TESTS, files, imported

KEPT = ROOT / "build" / "mutation" / "verdicts.json"


class Verdicts:
    """What has been found, kept from run to run.

    It holds as long as nothing has changed of the tests and of what they import: of a killed mutant the test that
    killed it, of a survivor all of its module's. A test that has killed a mutant is tried first the next time.
    """

    def __init__(self):
        self._kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        self._files = {file.name: _digest(_closure(file)) for file in files(chain(*MODULES.values()))}
        self._modules = {module: [self._files[file.name] for file in files(MODULES[module])] for module in MODULES}

    def __getitem__(self, mutant):
        """{"code", "said"} if it still holds, else None."""
        kept = self._kept.get(mutant.name)
        return kept if kept and kept["of"] == self._of(mutant, kept["code"], kept["said"]) else None

    def hint(self, mutant):
        """The test that killed it before, or None."""
        kept = self._kept.get(mutant.name)
        return kept["said"] if kept and kept["code"] == KILLED else None

    def __setitem__(self, mutant, found):
        code, said = found
        self._kept[mutant.name] = {"code": code, "said": said, "of": self._of(mutant, code, said)}

    def save(self):
        """Write all to the file."""
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        part = KEPT.with_suffix(".part")
        part.write_text(json.dumps(self._kept, indent=0))
        part.replace(KEPT)

    def _of(self, mutant, code, said):
        file = said.split("::")[0].split("/")[-1]
        return self._files[file] if code == KILLED and file in self._files else self._modules[mutant.module]


def _closure(file):
    """A test's file and all of the project's that it imports, those of the device among them."""
    found, new = set(), [file, TESTS / "conftest.py", *TESTS.glob("shims/cpython/*.py")]
    while new:
        file = new.pop()
        if file not in found and file.exists():
            found.add(file)
            for module, name in imported(file):
                for path in (f"{module}.py".replace(".", "/", module.count(".")), f"{module}/{name}.py"):
                    new += [folder / path for folder in (TESTS, TESTS / "fixtures", ROOT / "lib")]
    return sorted(found)


def _digest(files):
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
