"""The one error of the converter."""

from __future__ import annotations

from export_specs.foundation.errors import UserError


class ConversionError(UserError):
    """A graph that cannot be lowered to integer TFLite; the message names the node, its op type, the reason and what would help."""

    def __init__(self, node: str, op_type: str, reason: str, help_text: str) -> None:
        self.node = node
        self.op_type = op_type
        self.reason = reason
        self.help_text = help_text
        super().__init__(f"cannot convert node '{node}' ({op_type}): {reason}. What would help: {help_text}.")
