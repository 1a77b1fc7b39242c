"""What stands out of an official's week, in one line, in English and Vietnamese. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from civicbus_consumers.officers.weekly.rules import Compared, Measure

_COUNTED: Mapping[Measure, tuple[str, str]] = {
    Measure.ACTS: ("acts", "thao tác"),
    Measure.PEOPLE: ("people asked about", "người bị tra cứu"),
    Measure.EXPORTS: ("exports", "lượt xuất dữ liệu"),
    Measure.REFUSED: ("refused acts", "thao tác bị từ chối"),
    Measure.WITHOUT_CASE: ("questions without a case", "câu hỏi không nêu vụ việc"),
    Measure.AT_NIGHT: ("acts between 22:00 and 06:00", "thao tác từ 22 giờ đến 6 giờ"),
    Measure.AT_WEEKEND: ("acts on Saturday or Sunday", "thao tác vào thứ bảy, chủ nhật"),
}
_OWN = ("in the four weeks before, a median of {own}", "trung vị bốn tuần trước là {own}")
_OTHERS = (
    "of the others in this week, {others}",
    "của những người khác trong tuần là {others}",
)
_ALONE = ("nobody else acted in this week", "trong tuần không có ai khác")


def line_of(compared: Compared, language: str) -> str:
    """The line in `en` or `vi`."""
    which = 1 if language == "vi" else 0
    others = _ALONE if compared.others is None else _OTHERS
    text = f"{compared.count} {_COUNTED[compared.measure][which]}: {_OWN[which]}; {others[which]}."
    return text.format(own=_told(compared.own, which), others=_told(compared.others or 0, which))


def _told(number: float, which: int) -> str:
    text = f"{number:g}"
    return text.replace(".", ",") if which else text
