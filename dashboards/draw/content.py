"""What people wrote to a model and what it answered: never shown, whoever recorded it.

Names: OpenTelemetry's GenAI conventions, Langfuse, OpenInference, OpenLLMetry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from why504.model import Attributes, AttributeValue

_CONTENT: Final = re.compile(
    r"""prompt(?!_tokens|\.tokens|_id|\.name|\.version) | completion(?!_tokens|\.tokens|_start)
    | messages? | system_instructions | tool\.(call\.)?(arguments|result|definitions)
    | \b(input|output)(\.value|$) | (entity|observation|trace)\.(input|output)
    | document.*content | \bcontent$ | embedding.*text""",
    re.VERBOSE | re.IGNORECASE,
)


def without_content(attributes: Attributes) -> Mapping[str, AttributeValue]:
    """Return the attributes that carry no prompt, completion, message or document."""
    return {name: value for name, value in attributes.items() if not is_content(name)}


def is_content(name: str) -> bool:
    """Return whether an attribute of this name may carry what was said to or by a model."""
    # Messaging conventions count and size messages of queues: those are no content.
    if name.startswith("messaging.") or name.startswith("rpc.message."):
        return False
    return _CONTENT.search(name) is not None
