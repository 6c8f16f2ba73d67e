"""Torch files, read without running any of the code that they name."""

from __future__ import annotations

import builtins
import pickle
import re
import sys
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from export_specs.foundation.errors import UserError
from export_specs.foundation.file_kind import true_kind

_MOST_NAMES = 200  # of other programs' objects in one file
_PLAIN_DATA = re.compile(  # of Python's own modules; whatever else they offer is taken for an attempt to do something
    r"argparse\.Namespace|collections\.\w+|copyreg\.\w+|datetime\.\w+|decimal\.\w+|enum\.\w+|fractions\.\w+|functools\.partial"
    r"|pathlib\.\w+|types\.SimpleNamespace|typing\.\w+|uuid\.\w+|_codecs\.encode"
)


class Unread:
    """Stands for an object of another program: ``name`` is that of its class (or of a function that made it), ``state`` what it holds."""

    name = ""
    state: object

    def __new__(cls, *arguments: Any, **_: Any) -> Unread:
        stand_in = super().__new__(cls)
        stand_in.state = arguments
        return stand_in

    def __setstate__(self, state: object) -> None:
        self.state = state


class _AsDict:
    """In place of a class that is a dictionary: makes a plain one."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


class _AsList:
    """In place of a class that is a list: makes a plain one."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return []


def read_torch_file(path: Path) -> Any:
    """What ``torch.save`` wrote, with an :class:`Unread` for each object that is neither a tensor nor plain data.

    Raises:
        UserError: something else, damaged, or a pickle that wants to run code.
    """
    stand_ins: dict[str, type] = {}
    for _ in range(_MOST_NAMES):
        try:
            return _load(path, stand_ins)
        except pickle.UnpicklingError as error:
            if not _stands_in(stand_ins, str(error)):
                raise _refusal(path, error) from error
        except Exception as error:  # of bytes that are no pickle, the reader of pickles raises whatever they lead it to
            if "TorchScript" in str(error):
                raise UserError(
                    f"{path} is a TorchScript archive, which holds code: save its weights alone, "
                    f"torch.save(torch.jit.load(path).state_dict(), 'weights.pth')"
                ) from error
            raise _no_checkpoint(path, _told(error)) from error
    raise UserError(f"{path} names objects of more than {_MOST_NAMES} classes of other programs; save its state_dict alone")


def _load(path: Path, stand_ins: dict[str, type]) -> Any:
    with torch.serialization.safe_globals([(kind, name) for name, kind in stand_ins.items()]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickles that another version of torch wrote
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))


def _stands_in(stand_ins: dict[str, type], message: str) -> bool:
    """Whether a stand-in could be added or changed for what the reader asked for."""
    asked = re.search(r"GLOBAL (\S+)", message)
    if asked:
        name = asked[1] if "." in asked[1] else f"builtins.{asked[1]}"
        if name in stand_ins or not _is_plain_data(name):
            return False
        stand_ins[name] = type(name, (Unread,), {"name": name})
        return True
    for kind, plain in (("SETITEM", _AsDict), ("lists, but got", _AsList)):
        found = next((name for name, stand_in in stand_ins.items() if repr(stand_in) in message), None)
        if kind in message and found is not None:
            stand_ins[found] = type(found, (plain,), {})
            return True
    return False


def _is_plain_data(name: str) -> bool:
    module, _, last = name.partition(".")
    module = IMPORT_MAPPING.get(module, module)  # torch writes the names that Python 2 had
    if module == "builtins":
        return isinstance(getattr(builtins, last, None), type)
    return module not in sys.stdlib_module_names or _PLAIN_DATA.fullmatch(f"{module}.{last}") is not None


def _refusal(path: Path, error: pickle.UnpicklingError) -> UserError:
    asked = re.search(r"GLOBAL (\S+)", str(error))
    called = "Trying to call reduce" in str(error) or "Can only create new object" in str(error)
    source = "Only persistent_load of storage" in str(error)  # torch before 1.6 wrote the source of a class beside it
    if not (asked or called or source):
        return _no_checkpoint(path, _told(error))
    what = f"asks for {asked[1]}" if asked else "calls what it has just made" if called else "holds the source of the classes that it needs"
    return UserError(
        f"{path} is refused: it is a pickle that could run code when it is read (it {what}). If you trust where it comes from, save its "
        f"tensors alone: torch.save(torch.load(path, weights_only=False)['state_dict'], 'weights.pth')"
    )


def _no_checkpoint(path: Path, told: str) -> UserError:
    kind = true_kind(path)
    if kind is not None and not kind.startswith("a zip archive"):
        return UserError(f"{path} is no checkpoint: it is {kind}")
    return UserError(f"{path} cannot be read as a torch file ({told}): is it whole, and did torch.save write it?")


def _told(error: Exception) -> str:
    told = re.search(r"WeightsUnpickler error:\s*(.+)", str(error))  # torch's advice around it is meant for its own users
    return told[1] if told else (str(error).splitlines() or [type(error).__name__])[0]
