"""Who newly sees which field about whom, when one policy set takes another's place. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from civicbus_consumers.access.permits import READ, RELEASE, VERIFY
from civicbus_consumers.access.rules import Authority
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vocabulary import Access, WhenWithheld


class Kind(StrEnum):
    """What becomes of a sight; `days` where it stays as it was, and only its days are others."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"
    DAYS = "days"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Sight:
    """One recipient sees one field about one person, in one way and for one purpose.

    `about` is the subject's name in the contract; `way` is release, read or verify.
    """

    recipient: AgencyId
    dataset: EventType
    path: str
    about: str
    way: str
    purpose: str
    agreement: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Terms:
    """On which terms, by one version of the agreement. `forbidden` names rules about minors."""

    version: int
    form: str
    basis: str
    consent: str
    valid_from: date
    valid_until: date
    only_if: tuple[str, ...]
    forbidden: str
    withheld: str = WhenWithheld.SILENT
    access: str = Access.ORDINARY

    def __str__(self) -> str:
        told = [
            self.form,
            self.basis,
            f"consent {self.consent}",
            f"{self.valid_from} to {self.valid_until}",
            *([] if self.access == Access.ORDINARY else [f"{self.access} access"]),
            *self.only_if,
            *(["told when withheld"] if self.withheld == WhenWithheld.NOTIFY else []),
            *([f"not about minors ({self.forbidden})"] if self.forbidden else []),
        ]
        return ", ".join(told)

    @property
    def substance(self) -> Terms:
        """The terms but for the version that holds them and the days on which it does."""
        return replace(self, version=0, valid_from=date.min, valid_until=date.max)

    def is_followed_by(self, later: Terms) -> bool:
        """Whether the next version goes on, from the day after, as this one ends."""
        gap = later.valid_from - self.valid_until
        return gap == timedelta(days=1) and later.substance == self.substance


Sights = Mapping[Sight, tuple[Terms, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One sight that is not as it was: the terms that differ, none where there was no sight.

    Terms that only come to those of before, or only go, are told beside the last of the other side.
    """

    kind: Kind
    sight: Sight
    before: tuple[Terms, ...]
    after: tuple[Terms, ...]


def sights(policy: PolicySet) -> Sights:
    """Everything that a set lets anybody see; raises `InvalidAgreement` where a rule forbids it."""
    authority = Authority(policy)
    found: dict[Sight, list[Terms]] = defaultdict(list)
    for agreement in policy.agreements:
        for sight, terms in _of(agreement, policy, authority):
            found[sight].append(terms)
    return {sight: _joined(terms) for sight, terms in found.items()}


def changes(before: Sights, after: Sights) -> list[Change]:
    """What differs, by recipient and field; a new version with the same terms changes nothing."""
    found = []
    for sight in sorted({*before, *after}):
        old, new = before.get(sight, ()), after.get(sight, ())
        if [str(terms) for terms in old] != [str(terms) for terms in new]:
            change = Change(
                kind=_kind(old, new),
                sight=sight,
                before=_differing(old, new),
                after=_differing(new, old),
            )
            found.append(change)
    return found


def _kind(old: Sequence[Terms], new: Sequence[Terms]) -> Kind:
    if not old or not new:
        return Kind.NEW if new else Kind.GONE
    same = [terms.substance for terms in old] == [terms.substance for terms in new]
    return Kind.DAYS if same else Kind.CHANGED


def _differing(these: Sequence[Terms], others: Sequence[Terms]) -> tuple[Terms, ...]:
    known = {str(terms) for terms in others}
    return tuple(terms for terms in these if str(terms) not in known) or tuple(these[-1:])


def _joined(terms: Iterable[Terms]) -> tuple[Terms, ...]:
    """By day; versions that follow each other without a gap and say the same are one."""
    joined: list[Terms] = []
    for later in sorted(terms, key=lambda t: t.valid_from):
        if joined and joined[-1].is_followed_by(later):
            later = replace(later, valid_from=joined.pop().valid_from)
        joined.append(later)
    return tuple(joined)


def _of(
    agreement: Agreement, policy: PolicySet, authority: Authority
) -> Iterator[tuple[Sight, Terms]]:
    for event_type, release in agreement.releases.items():
        forms = {grant.path: str(grant.form) for grant in release.fields}
        conditions = tuple(f"{c.path} under {c.years} years" for c in release.only_if)
        yield from _seen(
            agreement, RELEASE, policy=policy, authority=authority, dataset=event_type,
            forms=forms, only_if=conditions,
        )  # fmt: skip
    for view, reads in agreement.reads.items():
        for way, paths, form in ((READ, reads.read, "as-is"), (VERIFY, reads.verify, "yes or no")):
            yield from _seen(
                agreement, way, policy=policy, authority=authority, dataset=view,
                forms=dict.fromkeys(sorted(paths), form), only_if=(),
            )  # fmt: skip


def _seen(
    agreement: Agreement,
    way: str,
    *,
    policy: PolicySet,
    authority: Authority,
    dataset: EventType,
    forms: Mapping[str, str],
    only_if: tuple[str, ...],
) -> Iterator[tuple[Sight, Terms]]:
    bans = authority.bans(agreement, way, dataset=dataset, paths=list(forms))
    for path, form in forms.items():
        sight = Sight(
            recipient=agreement.recipient,
            dataset=dataset,
            path=path,
            about=policy.contracts[dataset].fields[path].subject,
            way=way,
            purpose=agreement.purpose,
            agreement=agreement.ref.id,
        )
        yield (
            sight,
            Terms(
                version=agreement.ref.version,
                form=form,
                basis=agreement.basis,
                consent=agreement.consent.value,
                valid_from=agreement.valid_from,
                valid_until=agreement.valid_until,
                only_if=only_if,
                forbidden=bans[path].minor or "",
                access=agreement.access.value,
                withheld=agreement.withheld.value if way == RELEASE else WhenWithheld.SILENT,
            ),
        )
