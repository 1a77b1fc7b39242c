"""What the command shows: tables in two languages, JSON, and the pace of long work on stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

LOCAL_TIME = ZoneInfo("Asia/Ho_Chi_Minh")
_LINE_EVERY_S = 10.0
_FILE_COLUMNS = 250

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


class Language(StrEnum):
    """The language of headings and sentences."""

    VI = "vi"
    EN = "en"


# What stands for people: English, Vietnamese.
_WORDS = {
    "index": ("leaf", "lá"),
    "at": ("time", "thời điểm"),
    "kind": ("kind", "loại"),
    "recipient": ("recipient", "bên nhận"),
    "actor": ("actor", "bên thực hiện"),
    "purpose": ("purpose", "mục đích"),
    "basis": ("legal basis", "căn cứ pháp lý"),
    "dataset": ("event type", "loại sự kiện"),
    "fields": ("fields", "trường dữ liệu"),
    "agreement": ("agreement", "thỏa thuận"),
    "decision": ("decision", "quyết định"),
    "reason": ("reason", "lý do"),
    "release": ("release", "tình trạng chuyển giao"),
    "id": ("record", "bản ghi"),
    "leaf": ("leaf", "lá"),
    "rule": ("rule", "quy tắc"),
    "recorder": ("recorder", "tiến trình ghi"),
    "sequence": ("page", "trang"),
    "about": ("about", "liên quan đến"),
    "fences-looked-at": (
        "{pages} pages, {permits} permissions on a consent, {withdrawn} withdrawn consents.",
        "{pages} trang, {permits} lần cho phép dựa trên sự đồng ý, {withdrawn} sự đồng ý đã rút.",
    ),
    "fences-hold": (
        "Nothing rests on a consent behind its withdrawal.",
        "Không có bản ghi nào dựa trên sự đồng ý đã được rút lại trước đó.",
    ),
    "ledger-holds": (
        "The ledger holds: {size} leaves lead to the root signed by {origin}.",
        "Sổ cái toàn vẹn: {size} lá dẫn đến gốc do {origin} ký.",
    ),
    "pruned": (
        "Entries 0 to {last} were pruned by leaf {leaf} of {at:%Y-%m-%d %H:%M:%S} ({rule}); their "
        "hashes hold, and all else is claimed from leaf {first} on.",
        "Các mục 0 đến {last} đã được tỉa theo lá số {leaf} lúc {at:%Y-%m-%d %H:%M:%S} ({rule}); "
        "mã băm của chúng vẫn toàn vẹn, mọi điều khác được khẳng định từ lá số {first}.",
    ),
    "pruned-files": ("{deleted} files were deleted.", "Đã xóa {deleted} tệp."),
    "fences-pruned": (
        "The ledger was pruned: looked at from leaf {first} on, each chain from its first page.",
        "Sổ cái đã được tỉa: chỉ xem từ lá số {first}, mỗi chuỗi từ trang đầu tiên còn lại.",
    ),
    "cosigned": (
        "{name} cosigned its newest checkpoint at {at:%Y-%m-%d %H:%M:%S}.",
        "{name} đã đồng ký điểm kiểm tra mới nhất lúc {at:%Y-%m-%d %H:%M:%S}.",
    ),
    "prefix-holds": (
        "It continues the older checkpoint of {size} leaves.",
        "Sổ cái nối tiếp điểm kiểm tra cũ có {size} lá.",
    ),
    "proof-holds": (
        "The proof holds: this is leaf {index} of {size} in {origin}.",
        "Bằng chứng hợp lệ: đây là lá số {index} trong {size} lá của {origin}.",
    ),
    "proof-written": (
        "Leaf {index} of {size} is proved in {file}.",
        "Lá số {index} trong {size} lá được chứng minh trong {file}.",
    ),
    "by-subject": ("person, decisions", "công dân, các quyết định"),
    "by-deferred": ("person, investigations", "công dân, các vụ điều tra"),
    "by-officer": ("officer", "cán bộ"),
    "by-recipient": ("agency", "cơ quan"),
    "complete-name": ("Asked for: {by}, {name}", "Đối tượng: {by}, {name}"),
    "complete-covered": (
        "Up to leaf {covered} the ledger has {proved} of this, and nothing else: proved by "
        "{commits} index commits.",
        "Đến lá số {covered}, sổ cái có {proved} bản ghi như vậy và không còn bản ghi nào khác: "
        "được chứng minh bằng {commits} bản chốt chỉ mục.",
    ),
    "complete-uncovered": (
        "No index commit is there yet, so nothing is proved to be complete.",
        "Chưa có bản chốt chỉ mục nào, nên chưa chứng minh được tính đầy đủ.",
    ),
    "complete-rescanned": (
        "Found by reading the ledger anew up to leaf {size}, not proved to be all: {rescanned}.",
        "Tìm thấy khi đọc lại sổ cái đến lá số {size}, chưa chứng minh là đầy đủ: {rescanned}.",
    ),
    "begins-pruned": (
        "What was before leaf {first} was pruned after its retention; of that nothing is claimed.",
        "Những gì trước lá số {first} đã được tỉa sau thời hạn lưu; không khẳng định gì về chúng.",
    ),
    "complete-unreadable": (
        "{unreadable} leaves cannot be read by anybody and stand under no name.",
        "Có {unreadable} lá không thể đọc được và không đứng dưới tên nào.",
    ),
    "complete-hidden": (
        "Counted, and not shown: {hidden} in investigations that go on.",
        "Được đếm nhưng chưa hiển thị: {hidden} lượt thuộc các vụ điều tra đang tiến hành.",
    ),
    "complete-written": ("The proof is in {file}.", "Bằng chứng nằm trong {file}."),
    "none-found": ("Nothing was found.", "Không tìm thấy."),
    "unknown-person": (
        "The vault knows no such person: nothing was recorded about them, or it was erased.",
        "Kho khóa không có người này: chưa có bản ghi nào, hoặc đã được xóa.",
    ),
    "known-since": (
        "The vault knows this person since {since:%Y-%m-%d %H:%M:%S}; what was recorded before,"
        " if anything, was erased.",
        "Kho khóa có người này từ {since:%Y-%m-%d %H:%M:%S}; những gì ghi trước đó, nếu có,"
        " đã được xóa.",
    ),
    "more": (
        "There is more: --before {before} goes on from here.",
        "Còn nữa: --before {before} để xem tiếp.",
    ),
    "hidden": (
        "{count} more, in investigations that go on: they are shown when the case is closed.",
        "Còn {count} lượt thuộc các vụ điều tra đang tiến hành: sẽ hiển thị khi vụ việc kết thúc.",
    ),
    "not-indexed": (
        "{count} more are in the ledger and not indexed yet, from leaf {indexed} on: ask again.",
        "Còn {count} lượt có trong sổ cái nhưng chưa được lập chỉ mục, từ lá số {indexed}:"
        " hãy hỏi lại.",
    ),
    "rebuilt": ("{leaves} leaves indexed.", "Đã lập chỉ mục {leaves} lá."),
    "state-rebuilt": (
        "The state of {size} leaves is there again; sealing goes on from offset {position}.",
        "Đã khôi phục trạng thái {size} lá; việc niêm phong tiếp tục từ vị trí {position}.",
    ),
    "export-begins": (
        "{officer} exports for this purpose: {purpose}; it is record {record}",
        "{officer} xuất dữ liệu cho mục đích: {purpose}; ghi nhận tại bản ghi {record}",
    ),
    "exporting": ("exporting", "đang xuất"),
    "exported": (
        "{records} of {size} leaves match and are proved in {file}; {unreadable} cannot be read.",
        "{records} trong {size} lá khớp, có bằng chứng trong {file}; {unreadable} không đọc được.",
    ),
    "columns": ("columns", "cột"),
    "fsck-found": (
        "Entries, tiles and checkpoint agree; {faults} contradictions in the index.",
        "Các mục, tầng băm và điểm kiểm tra khớp nhau; chỉ mục có {faults} chỗ sai lệch.",
    ),
    "fsck-repaired": (
        "Repaired: {tiles} tiles made anew, {faults} contradictions in the index removed.",
        "Đã sửa: tạo lại {tiles} tầng băm, xóa bỏ {faults} chỗ sai lệch trong chỉ mục.",
    ),
    "serving": ("serving {address}", "đang phục vụ tại {address}"),
    "repairing": ("repairing", "đang sửa"),
    "verifying": ("verifying", "đang kiểm tra"),
    "examining": ("examining", "đang xem xét"),
    "indexing": ("indexing", "đang lập chỉ mục"),
}


def say(key: str, language: Language, **values: object) -> str:
    """A heading or a sentence."""
    english, vietnamese = _WORDS[key]
    text = vietnamese if language is Language.VI else english
    shown = {name: f"{v:,}" if isinstance(v, int) else v for name, v in values.items()}
    return text.format(**shown)


def as_json(value: object) -> str:
    """One line of JSON; times as ISO 8601 in UTC."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def table(rows: Sequence[Any], columns: Sequence[str], language: Language) -> Table:
    """A table of these attributes of the rows."""
    shown = Table(highlight=False, pad_edge=False)
    for column in columns:
        shown.add_column(say(column, language), overflow="fold")
    for row in rows:
        shown.add_row(*[_cell(getattr(row, column)) for column in columns])
    return shown


def show(shown: Table) -> None:
    """Prints a table as wide as the terminal, or wide enough for a file."""
    console = out if out.is_terminal else Console(width=_FILE_COLUMNS)
    console.print(shown)


def facts(values: Mapping[str, object], language: Language) -> Table:
    """A table of names and values, without the empty ones."""
    shown = Table(highlight=False, show_header=False, box=None)
    for name, value in values.items():
        if value not in (None, (), ""):
            shown.add_row(say(name, language), _cell(value))
    return shown


@contextmanager
def pace(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows rate and remaining time of long work on stderr, by the number done so far."""
    if err.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task(what, total=total, rate="")
            started = time.monotonic()

            def advance(done: int) -> None:
                rate = done / max(time.monotonic() - started, 1e-3)
                progress.update(task, completed=done, rate=f"{rate:,.0f}/s")

            yield advance
    else:
        yield _lines(what, total)


def _lines(what: str, total: int) -> Callable[[int], None]:
    started = told = time.monotonic()

    def advance(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _LINE_EVERY_S:
            told, rate = now, done / (now - started)
            left = (total - done) / max(rate, 1e-3)
            err.print(f"{what}: {done:,} of {total:,}, {rate:,.0f}/s, {left:,.0f} s left")

    return advance


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(LOCAL_TIME).strftime("%Y-%m-%d %H:%M:%S")
        case tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(type(value).__name__)
