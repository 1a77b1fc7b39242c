"""What a proof of completeness proves, offline; no ledger is needed, and no word of its maker's.

What rests on the maker's re-scan alone, because no commit covers it yet, is told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from civicbus_schemas.errors import EvidenceBroken, InvalidBytes

from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit
from civicbus_audit.completeness.document import Document
from civicbus_audit.completeness.filing import Name, is_filed_under
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.multiproof import root_of_some
from civicbus_audit.pruning import pruning_of
from civicbus_audit.quorum import Trust, open_trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """All that the ledger files under the names asked for, in the period.

    `proved`: the leaves of which commits prove that there are no others from leaf `first` (0 of a
    ledger that was not pruned) up to leaf `covered`.
    `rescanned`: what a re-scan found from there to `size`, and investigations that the citizen may
    know of. `hidden`: how many of these he may not know yet; None where none are hidden.
    """

    asked: Asked
    checkpoint: Checkpoint
    commits: int
    first: int
    covered: int
    unreadable: int
    proved: tuple[tuple[int, bytes], ...]
    rescanned: tuple[tuple[int, bytes], ...]
    hidden: int | None


def verify_complete(data: bytes, trust: Trust) -> Complete:
    """What the file proves; raises `EvidenceBroken`, or `InvalidBytes` if it is no such file.

    1. It is in its one spelling. 2. The checkpoint is signed by whom `trust` demands. 3. All its
    leaves lead to that checkpoint's root. 4. Its commits cover the log without hole from leaf 0 on,
    or from where a leaf of the proof says that it was pruned to. 5. Each commit that overlaps the
    period proves for each name which leaves it filed, or none. 6. Each of these is there, and is
    what it was filed as. 7. What else is there lies behind the last commit, or is an investigation
    told since.
    """
    document = Document.parse(data)  # 1
    checkpoint = open_trusted(document.checkpoint, trust)  # 2
    leaves = _led_to(checkpoint, document)  # 3
    first = _first(leaves, document)
    commits = _chained(leaves, first)  # 4
    named = _named(commits, document)  # 5
    for index, name in named.items():  # 6
        if index not in leaves or not is_filed_under(leaves[index], name):
            raise EvidenceBroken(f"leaf {index} is named by a commit, and missing or another")
    covered = commits[-1].end if commits else first
    others = {*named, *(commit.end for commit in commits)}
    rest = {at: leaf for at, leaf in leaves.items() if at not in others}
    rescanned = _rescanned(rest, covered, document)  # 7
    return Complete(
        asked=document.asked,
        checkpoint=checkpoint,
        commits=len(commits),
        first=first,
        covered=covered,
        unreadable=sum(commit.unreadable for commit in commits),
        proved=tuple(
            (at, leaves[at]) for at in sorted(named) if document.asked.is_about(leaves[at])
        ),
        rescanned=rescanned,
        hidden=document.hidden,
    )


def _led_to(checkpoint: Checkpoint, document: Document) -> Mapping[int, bytes]:
    leaves = dict(document.leaves)
    if [*leaves] != sorted(leaves) or len(leaves) != len(document.leaves):
        raise InvalidBytes("the leaves of a proof are not in order")
    hashes = {index: leaf_hash(leaf) for index, leaf in leaves.items()}
    if root_of_some(hashes, checkpoint.size, document.proof) != checkpoint.root:
        raise EvidenceBroken(
            f"the leaves of the proof do not lead to the root of size {checkpoint.size}"
        )
    return leaves


def _first(leaves: Mapping[int, bytes], document: Document) -> int:
    """Where the claim begins: the leaf that prunes must be in the log and say so."""
    if document.pruned is None:
        return 0
    pruning = pruning_of(leaves.get(document.pruned, b""), document.pruned)
    if pruning is None:
        raise EvidenceBroken(f"leaf {document.pruned} of the proof does not prune the ledger")
    return pruning.first


def _chained(leaves: Mapping[int, bytes], first: int) -> list[IndexCommit]:
    commits = list[IndexCommit]()
    for index, leaf in leaves.items():
        if not INDEX_COMMIT.wrote(leaf):
            continue
        commit = IndexCommit.decode(leaf)
        if commit.end != index or commit.first != (commits[-1].end if commits else first):
            raise EvidenceBroken(
                f"the index commit in leaf {index} does not follow the one before it",
                got=f"leaves {commit.first} to {commit.end - 1}",
            )
        commits.append(commit)
    return commits


def _named(commits: list[IndexCommit], document: Document) -> dict[int, Name]:
    """The leaves that commits name, and under which name; a leaf has one name of each sort."""
    asked = document.asked
    overlapping = [commit for commit in commits if commit.overlaps(asked.since, asked.until)]
    if len(overlapping) != len(document.answers):
        raise EvidenceBroken(
            "not every index commit of the period answers",
            got=f"{len(document.answers)} answers",
            expected=f"{len(overlapping)}",
        )
    named = dict[int, Name]()
    for commit, answers in zip(overlapping, document.answers, strict=True):
        if (len(answers.filed), len(answers.salts)) != (len(asked.names), len(asked.sorts)):
            raise EvidenceBroken(f"the commit in leaf {commit.end} does not answer for every name")
        salts = dict(zip(asked.sorts, answers.salts, strict=True))
        for name, answer in zip(asked.names, answers.filed, strict=True):
            for index in commit.head.check(answer, name.key, salt=salts[name.by]):
                if not commit.first <= index < commit.end:
                    raise EvidenceBroken(f"the commit in leaf {commit.end} names leaves elsewhere")
                named[index] = name
    return named


def _rescanned(
    rest: Mapping[int, bytes], covered: int, document: Document
) -> tuple[tuple[int, bytes], ...]:
    """What no commit names and is asked for; the leaf that prunes is there for itself."""
    asked, found = document.asked, list[tuple[int, bytes]]()
    for index, leaf in sorted(rest.items()):
        is_found = index >= covered and any(is_filed_under(leaf, n) for n in asked.names)
        is_told = asked.as_citizen and any(is_filed_under(leaf, n) for n in asked.deferred)
        if (is_found or is_told) and asked.is_about(leaf):
            found.append((index, leaf))
        elif index != document.pruned:
            raise EvidenceBroken(f"leaf {index} does not belong into the proof")
    return tuple(found)
