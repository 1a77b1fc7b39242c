"""What became of a permitted disclosure: the words. Pure."""

from enum import StrEnum


class Release(StrEnum):
    """As later pages tell it."""

    RELEASED = "released"
    UNSETTLED = "unsettled"
    ABORTED = "aborted-may-have-been-seen"
