"""``python -m fqss MODULE ...``: what ``python -m MODULE ...`` is in a checkout."""

import os
import runpy
import sys

from fqss import FOLDERS, PLACE


def main() -> None:
    """Run the program of a module; the programs that it starts find the folders too, and before any in the current folder."""
    module = sys.argv[1] if len(sys.argv) > 1 else ""
    if module.partition(".")[0] not in FOLDERS:
        sys.exit(f"error: python -m fqss MODULE ...: MODULE is {', '.join(FOLDERS)} or a module in one of them, say edge_runtime")
    paths = [str(PLACE), os.environ.get("PYTHONPATH", "")]
    os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONSAFEPATH": "1"}
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
