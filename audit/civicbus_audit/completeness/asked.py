"""What a proof of completeness is asked to be about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from civicbus_schemas.errors import Refused

from civicbus_audit.completeness.filing import By, Name, is_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be proved: all decisions about a person, or for an agency, or all of an officer.

    `texts` are all names of the one asked for, in order: several pseudonyms where he had several.
    `since` and `until` are about the times that records name. `as_citizen`: investigations that go
    on are counted, not shown; and no commit answers for any, as its hour would tell when they read.
    """

    by: By
    texts: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None
    as_citizen: bool = False

    def __post_init__(self) -> None:
        if not self.texts or [*self.texts] != sorted({*self.texts}):
            raise Refused("the names that are asked for", expected="one at least, in order")
        if self.by is By.DEFERRED or (self.as_citizen and self.by is not By.SUBJECT):
            raise Refused("not what a proof is about", expected="a person, an officer, an agency")

    @property
    def names(self) -> tuple[Name, ...]:
        """The names that commits answer for."""
        deferred = self.deferred if self.by is By.SUBJECT and not self.as_citizen else ()
        return tuple(sorted({*(Name(self.by, text) for text in self.texts), *deferred}))

    @property
    def sorts(self) -> tuple[By, ...]:
        """The sorts of these names, of which a proof tells the salts."""
        return tuple(sorted({name.by for name in self.names}))

    @property
    def deferred(self) -> tuple[Name, ...]:
        """The names that readings of investigations are filed under."""
        return tuple(Name(By.DEFERRED, text) for text in self.texts)

    def is_about(self, leaf: bytes) -> bool:
        """Whether a leaf that is filed lies in the period."""
        return is_within(leaf, self.since, self.until)
