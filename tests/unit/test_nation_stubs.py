"""The generated stub says what the classes are."""

from __future__ import annotations

import ast

from civicbus_schemas.stubs import stub
from civicbus_schemas.vietnam.events import EVENT_CLASSES, VisitRecorded


def test_every_class_and_field_stands_in_the_stub_when_it_is_written() -> None:
    tree = ast.parse(stub(list(EVENT_CLASSES.values())))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert set(classes) == {cls.__name__ for cls in EVENT_CLASSES.values()}
    visit = classes["VisitRecorded"]
    names = {
        node.target.id
        for node in visit.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert names == {part.name for part in VisitRecorded.parts}


def test_a_sequence_is_asked_for_and_a_tuple_promised_when_a_field_holds_many() -> None:
    text = stub([VisitRecorded])
    assert "prescriptions: Sequence[VisitRecorded.Prescription]," in text
    assert "prescriptions: tuple[VisitRecorded.Prescription, ...]\n" in text
