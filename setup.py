"""What pyproject.toml cannot say: a wheel holds one package, ``fqss``, with the folders in it (docs/adr/0024-one-installed-package.md)."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

if sys.version_info < (3, 11):  # noqa: UP036 (without it pip tells of a library that has no such version for this Python)
    sys.exit("fqss-deploy needs Python 3.11, 3.12 or 3.13")
sys.path.insert(0, str(Path(__file__).parent))
from fqss import FOLDERS, INSIDE


class FoldersInside(build_py):
    """Moves the folders into ``fqss``; an editable installation finds them where they are."""

    def run(self) -> None:
        inside = Path(self.build_lib, "fqss", INSIDE.name)
        shutil.rmtree(inside, ignore_errors=True)  # of a build before
        super().run()
        if not self.editable_mode:
            inside.mkdir()
            for folder in FOLDERS:
                shutil.move(Path(self.build_lib, folder), inside)


class NoTopLevel(egg_info):
    """Leaves ``top_level.txt`` out, which would name the folders; the wheel's list of files tells what is there."""

    def run(self) -> None:
        super().run()
        Path(self.egg_info, "top_level.txt").unlink(missing_ok=True)


setup(cmdclass={"build_py": FoldersInside, "egg_info": NoTopLevel})
