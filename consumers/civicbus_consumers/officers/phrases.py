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
    "agency": ("Agency that was given data", "Cơ quan nhận dữ liệu"),
    "agency-case": ("That agency's case", "Vụ việc của cơ quan đó"),
    "flag": ("Flagged as", "Bị gắn cờ"),
    "any": ("flagged or not", "có cờ hoặc không"),
    "flag-volume": ("many more readings than usual", "đọc nhiều hơn hẳn mức thường lệ"),
    "flag-fishing": ("many people without a reason", "tra cứu nhiều người không liên quan"),
    "flag-enumerating": ("numbers tried one after another", "dò từng số định danh"),
    "flag-after-hours": ("outside working hours", "ngoài giờ làm việc"),
    "flag-on-leave": ("while on leave", "trong thời gian nghỉ phép"),
    "flag-self": ("one's own data", "dữ liệu của chính mình"),
    "flag-household": ("household or family", "người trong hộ hoặc gia đình"),
    "flag-colleague": ("a colleague", "đồng nghiệp"),
    "flag-watched": ("a person on the watch list", "người trong danh sách theo dõi"),
    "flag-wrong-purpose": ("a purpose that is not the agency's", "sai mục đích của cơ quan"),
    "flag-no-case": ("no open case", "không có vụ việc đang mở"),
    "flag-closed-case": ("in a case that was closed", "vụ việc đã đóng"),
    "flag-probing": ("another purpose after a refusal", "đổi mục đích sau khi bị từ chối"),
    "flag-unreviewed-emergency": ("an emergency not reviewed", "khẩn cấp chưa được xem xét"),
    "flag-dormant": ("after a long silence", "sau thời gian dài không hoạt động"),
    "flag-first-dataset": ("data never read before", "loại dữ liệu chưa từng đọc"),
    "flag-withdrawn-consent": ("consent was withdrawn", "đồng ý đã bị rút lại"),
    "flag-unreleased": ("never said to be released", "chưa xác nhận chuyển giao"),
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
    "pruned": (
        "What was before leaf {first} was pruned after its retention; of that nothing is claimed.",
        "Những gì trước lá số {first} đã được tỉa sau thời hạn lưu; không khẳng định gì về chúng.",
    ),
    "not-indexed": (
        "This goes up to leaf {indexed}: {count} newer leaves of the ledger are not indexed yet. "
        "Ask again.",
        "Kết quả này tính đến lá số {indexed}: còn {count} lá mới hơn của sổ cái chưa được lập "
        "chỉ mục. Hãy hỏi lại.",
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
