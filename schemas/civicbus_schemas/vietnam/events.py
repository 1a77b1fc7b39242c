"""Vietnam's event classes, built from the contracts beside this file.

`make setup` writes `events.pyi` from the same contracts, for type checkers and editors.
"""

from __future__ import annotations

from collections.abc import Mapping

from civicbus_schemas.event import Event, event_class
from civicbus_schemas.ids import EventType
from civicbus_schemas.nation import load_contracts

EVENT_CLASSES: Mapping[EventType, type[Event]] = {
    contract.event_type: event_class(contract, module=__name__)
    for contract in load_contracts("vietnam").values()
    if not contract.is_view
}

globals().update({cls.__name__: cls for cls in EVENT_CLASSES.values()})
