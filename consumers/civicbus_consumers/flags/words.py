"""The closed vocabularies of flags: what is odd, what explains it, what officers make of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from civicbus_schemas.vocabulary import Outcome


class Flag(StrEnum):
    """What is odd about a reading."""

    VOLUME = "volume"  # many more readings than this officer's hour of the week has
    FISHING = "fishing"  # many people whom nothing connects with the officer's work
    ENUMERATING = "enumerating"  # people who are not found, one after the other
    AFTER_HOURS = "after-hours"  # outside the agency's hours, or on a holiday
    ON_LEAVE = "on-leave"  # while the officer was on leave
    SELF = "self"  # the officer's own data
    HOUSEHOLD = "household"  # somebody of the officer's household or family
    COLLEAGUE = "colleague"  # somebody the officer works with
    WATCHED = "watched"  # somebody on the watch list
    WRONG_PURPOSE = "wrong-purpose"  # not in the agency's catalogue of services, or not with this
    NO_CASE = "no-case"  # the service needs an open case, and there is none
    CLOSED_CASE = "closed-case"  # the case that is named was closed before
    PROBING = "probing"  # refused for one purpose, obtained for another
    UNREVIEWED_EMERGENCY = "unreviewed-emergency"  # the glass broken, and no review in 24 hours
    DORMANT = "dormant"  # an officer who had not read anything for long
    FIRST_DATASET = "first-dataset"  # the first reading of its kind by an officer of long standing
    WITHDRAWN_CONSENT = "withdrawn-consent"  # permitted where the withdrawal was known
    UNRELEASED = "unreleased"  # recorded, and 60 s later not said to be released


class Explanation(StrEnum):
    """What speaks for a reading."""

    ASSIGNED_CLERK = "assigned-clerk"  # of an open case in the agency's register
    CONSENT = "consent"  # of the person, as the bus judged it
    SERVICE_REQUEST = "service-request"  # the bus delivered the agency something about the person
    OPEN_CASE = "open-case"  # in the agency's register, though of other clerks
    RESIDENCE = "residence-district"  # the person lives in the officer's district
    ON_DUTY = "on-duty"  # by the roster
    USUAL_HOURS = "usual-hours"  # the officer often works at this hour
    AGENCY_PEAK = "agency-peak"  # the others of the agency have as much to do
    LABELLED_BENIGN = "labelled-benign"  # officers found the same of this officer to be benign
    LABELLED_CONFIRMED = "labelled-confirmed"  # or confirmed it, which speaks against


STRONG = frozenset({Explanation.ASSIGNED_CLERK, Explanation.CONSENT, Explanation.SERVICE_REQUEST})
"""What connects the reading with a task, and that the officer cannot make up."""


class Label(StrEnum):
    """What an officer of oversight makes of a flag."""

    CONFIRMED = "confirmed"
    BENIGN = "benign"
    UNSURE = "unsure"


OUTCOMES: Mapping[Label, Outcome] = {
    Label.BENIGN: Outcome.PERMIT,
    Label.CONFIRMED: Outcome.DENY,
    Label.UNSURE: Outcome.ERROR,
}
"""A label's leaf says it like a review's: the reading was justified, was not, or it is open."""

LABELS: Mapping[Outcome, Label] = {outcome: label for label, outcome in OUTCOMES.items()}
"""The inverse of `OUTCOMES`; no label says `breakglass`."""


class Closing(StrEnum):
    """What closed a flag."""

    LABELLED = "labelled"
    SETTLED = "settled"  # what was missing came: a review, or the release


def flag_id(word: Flag, record: str) -> str:
    """A flag's id: its word and the record that raised it, so that it can be raised only once."""
    return f"{word}-{record}"
