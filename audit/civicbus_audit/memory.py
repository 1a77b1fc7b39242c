"""What the sequencer must know of the leaves before, beside their number: the state keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_audit.committing import Committed
from civicbus_audit.sequencing import Chains


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where every recorder's chain ends, and where the newest index commit stands."""

    chains: Chains
    committed: Committed

    def to_json(self) -> dict[str, Any]:
        """As the ledger's state keeps it."""
        return {"chains": self.chains.to_json(), "committed": self.committed.to_json()}

    @classmethod
    def from_json(cls, memory: Mapping[str, Any]) -> Memory:
        """What `to_json` wrote; of a new ledger, nothing."""
        if not memory:
            return cls(chains=Chains(), committed=Committed())
        return cls(
            chains=Chains.from_json(memory["chains"]),
            committed=Committed.from_json(memory["committed"]),
        )

    @classmethod
    def of_leaves(cls, leaves: Iterable[tuple[int, bytes]]) -> Memory:
        """As the leaves of a ledger tell it, the same that sequencing left.

        But for the period before the first commit, which no leaf tells; the pages do, read again.
        """
        chains, committed = Chains(), Committed()
        for index, leaf in leaves:
            chains, committed = chains.after_leaf(leaf), committed.after(index, leaf)
        return cls(chains=chains, committed=committed)
