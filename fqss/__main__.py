"""``fqss COMMAND ...``, also as ``python -m fqss``; and ``python -m fqss MODULE ...``, what ``python -m MODULE ...`` is in a checkout."""

import os
import runpy
import sys

from fqss import FOLDERS, PLACE
from fqss.command_line import run


def main() -> None:
    """Run a command, or the program of a module; the programs that it starts find the folders too, and before any in the current folder."""
    paths = [str(PLACE), os.environ.get("PYTHONPATH", "")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
    module = sys.argv[1] if len(sys.argv) > 1 else ""
    if module.partition(".")[0] not in FOLDERS:
        run()
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
