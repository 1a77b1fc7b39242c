"""What the pages say, in English and Vietnamese: one table, to be reviewed as a whole."""

from __future__ import annotations

from collections.abc import Mapping

_PHRASES: Mapping[str, tuple[str, str]] = {
    "title": ("Who read about this person", "Ai đã đọc dữ liệu về người này"),
    "intro": (
        "Every reading on the bus is a leaf of a ledger. Each row below was compared with its leaf "
        "before it was shown, and your question was recorded before that.",
        "Mỗi lần đọc trên trục dữ liệu là một lá của sổ cái. Mỗi dòng dưới đây đã được đối chiếu "
        "với lá của nó, và câu hỏi của bạn đã được ghi lại trước đó.",
    ),
    "token": ("Your token", "Mã xác thực của bạn"),
    "token-hint": (
        "Issued for five minutes by your agency, or by VNeID for a citizen.",
        "Do cơ quan của bạn cấp, hoặc VNeID cấp cho công dân; có hiệu lực năm phút.",
    ),
    "officials-only": ("For officials", "Dành cho cán bộ"),
    "officials-hint": (
        "Citizens leave this empty: they see their own data.",
        "Công dân để trống phần này: chỉ xem được dữ liệu của mình.",
    ),
    "pin": ("Personal identification number", "Số định danh cá nhân"),
    "purpose": ("Purpose", "Mục đích"),
    "none": ("choose", "chọn"),
    "case": ("Case", "Vụ việc"),
    "ask": ("Ask", "Hỏi"),
    "time": ("Time", "Thời điểm"),
    "who": ("Who", "Ai"),
    "why": ("Why", "Vì sao"),
    "ground": ("On what ground", "Căn cứ"),
    "what": ("What", "Dữ liệu"),
    "outcome": ("Outcome", "Kết quả"),
    "evidence": ("Evidence", "Bằng chứng"),
    "verify": ("verify", "kiểm tra"),
    "download": ("download proof", "tải bằng chứng"),
    "next": ("Earlier rows", "Các dòng cũ hơn"),
    "again": ("Ask something else", "Hỏi câu khác"),
    "nothing": ("Nothing was found.", "Không tìm thấy."),
    "complete": (
        "Download the proof that nothing is missing",
        "Tải bằng chứng rằng không thiếu bản ghi nào",
    ),
    "complete-hint": (
        "Each hour the ledger fixes whose data was read in it; from this the file proves that up "
        "to the last hour nothing else is there. What is newer was found by reading the ledger. "
        "Check it with civicbus-audit verify --complete.",
        "Mỗi giờ sổ cái chốt lại dữ liệu của ai đã được đọc; tệp này dựa vào đó để chứng minh rằng "
        "đến giờ chốt gần nhất không còn bản ghi nào khác. Phần mới hơn được tìm thấy khi đọc lại "
        "sổ cái. Kiểm tra bằng civicbus-audit verify --complete.",
    ),
    "hidden": (
        "{count} more, in investigations that go on: they are shown when the case is closed.",
        "Còn {count} lượt thuộc các vụ điều tra đang tiến hành: sẽ hiển thị khi vụ việc kết thúc.",
    ),
    "recorded": ("Your question is record {id}.", "Câu hỏi của bạn là bản ghi {id}."),
    "range": ("Looked at: {since} to {until}.", "Phạm vi: từ {since} đến {until}."),
    "proved": (
        "The proof holds: this is leaf {index} of {size} in {origin}.",
        "Bằng chứng hợp lệ: đây là lá số {index} trong {size} lá của {origin}.",
    ),
    "offline": (
        "Do not take our word for it: download the proof and check it on a machine of your own "
        "with civicbus-audit verify --proof, or with verify.py.",
        "Không cần tin chúng tôi: hãy tải bằng chứng và kiểm tra trên máy của bạn bằng "
        "civicbus-audit verify --proof, hoặc bằng verify.py.",
    ),
    "leaf-hash": ("Leaf hash", "Mã băm của lá"),
    "other-language": ("Tiếng Việt", "English"),
    "permit": ("disclosed", "đã cung cấp"),
    "deny": ("refused", "đã từ chối"),
    "error": ("set aside", "đã gác lại"),
    "breakglass": ("disclosed in an emergency", "đã cung cấp do khẩn cấp"),
    "released": ("released", "đã chuyển giao"),
    "unsettled": ("not yet settled", "chưa xác nhận"),
    "aborted-may-have-been-seen": (
        "broken off, may have been seen",
        "bị gián đoạn, có thể đã bị xem",
    ),
}


def say(key: str, language: str, **values: object) -> str:
    """A phrase in `en` or `vi`; what is no phrase of ours is told as it is."""
    english, vietnamese = _PHRASES.get(key, (key, key))
    return (vietnamese if language == "vi" else english).format(**values)
