"""The one package that an installed fqss-deploy has: the project's folders lie in it (docs/adr/0024-one-installed-package.md).

``import fqss`` makes ``edge_runtime``, ``export_specs``, ``pipeline`` and ``validation`` importable by these names, in this process alone.
In a checkout they lie beside it, and it changes nothing.

Raises:
    ImportError: one of the names is another package's in this process already.
"""

import importlib.util
import sys
from pathlib import Path

FOLDERS = ("edge_runtime", "export_specs", "pipeline", "validation")
INSIDE = Path(__file__).with_name("folders")
PLACE = INSIDE if INSIDE.is_dir() else INSIDE.parents[1]

if PLACE == INSIDE:
    sys.path.insert(0, str(PLACE))
for _name in FOLDERS:
    _found = importlib.util.find_spec(_name)
    if _found is None or _found.origin != str(PLACE / _name / "__init__.py"):
        raise ImportError(
            f"'{_name}' is not fqss's in this process but {_found and _found.origin}: import fqss first, or in a process of its own"
        )
