"""Problem documents (RFC 9457) with a stable code, in Vietnamese and English.

The texts are fixed: nothing of a request or of a person enters one. What a caller must know to
repair a request (a member's name, a list of fields of the contract) is given as `members`.
Longer than our other modules, because one table of words is easier to review than several.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from civicbus_schemas.errors import Refused
from civicbus_schemas.vocabulary import Reason

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:civicbus:problem:"
LANGUAGES = ("vi", "en")


class Code(StrEnum):
    """Why there is no data, besides the reasons of a decision (`vocabulary.Reason`)."""

    TOKEN_MISSING = "token-missing"  # noqa: S105 (a code, no secret)
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105
    TOKEN_FORGED = "token-forged"  # noqa: S105
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_NOT_YET_VALID = "token-not-yet-valid"  # noqa: S105
    TOKEN_TOO_LONG_LIVED = "token-too-long-lived"  # noqa: S105
    TOKEN_WRONG_AUDIENCE = "token-wrong-audience"  # noqa: S105
    TOKEN_REPLAYED = "token-replayed"  # noqa: S105
    TOKEN_TOO_EARLY = "token-issued-before-start"  # noqa: S105
    UNKNOWN_AGENCY = "unknown-agency"
    MALFORMED_REQUEST = "malformed-request"
    TOO_LARGE = "request-too-large"
    TOO_SLOW = "request-too-slow"
    WRONG_MEDIA_TYPE = "wrong-media-type"
    WRONG_METHOD = "wrong-method"
    UNKNOWN_PATH = "unknown-path"
    NO_MATCH = "subject-not-matched"
    BUSY = "busy"
    TOO_MANY_NAMES = "too-many-new-names"
    OVERDUE = "overdue"
    CANNOT_RECORD = "cannot-record"
    CANNOT_DECIDE = "cannot-decide"
    VIEW_UNAVAILABLE = "view-unavailable"
    USES_UNAVAILABLE = "uses-unavailable"
    NO_LEASE = "no-lease"
    NOT_YOURSELF = "not-yourself"


Texts = tuple[HTTPStatus, str, str]
"""A status, and "title" or "title: detail" in Vietnamese and in English."""


class Problem(Refused):
    """An answer without data. `members` are more members of the document, never personal data."""

    def __init__(self, code: StrEnum, **members: Any) -> None:
        super().__init__(f"request refused: {code}")
        self.code = code
        self.members: Mapping[str, Any] = MappingProxyType(members)

    @property
    def texts(self) -> Texts:
        """Status and texts; a room with codes of its own looks into its own table first."""
        return _TEXTS[self.code]

    def told(self, language: str) -> tuple[str, str]:
        """Title and detail in one of `LANGUAGES`; the detail may be empty."""
        _, vietnamese, english = self.texts
        title, _, detail = (vietnamese if language == "vi" else english).partition(": ")
        return title, detail


def status_of(code: StrEnum) -> HTTPStatus:
    """The status of an answer with this code."""
    return _TEXTS[code][0]


def document(problem: Problem, language: str) -> bytes:
    """The problem document in one of `LANGUAGES`, as UTF-8 JSON."""
    title, detail = problem.told(language)
    body = {
        "type": f"{TYPE_PREFIX}{problem.code}",
        "title": title,
        "status": problem.texts[0].value,
        "code": problem.code.value,
        **({"detail": detail} if detail else {}),
        **problem.members,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def preferred_language(accepted: str) -> str:
    """The better of our languages for an `Accept-Language`; Vietnamese where none is named."""
    weights = dict.fromkeys(LANGUAGES, -1.0)
    for part in accepted[:256].split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(parameter))
    best = max(LANGUAGES, key=lambda language: weights[language])
    return best if weights[best] > 0 else LANGUAGES[0]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    digits = value.replace(".", "", 1)
    return float(value) if name.strip() == "q" and digits.isdecimal() and len(value) < 6 else 0.0


_TEXTS: Mapping[StrEnum, Texts] = {
    Code.TOKEN_MISSING: (
        HTTPStatus.UNAUTHORIZED,
        "Thiếu mã xác thực: Gửi tiêu đề Authorization: Bearer kèm mã của cơ quan.",
        "The token is missing: Send an Authorization: Bearer header with the agency's token.",
    ),
    Code.TOKEN_MALFORMED: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực sai định dạng: Cần JWT ký EdDSA với đúng các mục iss, aud, iat, exp, jti.",
        "The token is malformed: A JWT signed with EdDSA is needed, with exactly the claims "
        "iss, aud, iat, exp, jti.",
    ),
    Code.TOKEN_FORGED: (
        HTTPStatus.UNAUTHORIZED,
        "Chữ ký của mã xác thực không đúng",
        "The token's signature is wrong",
    ),
    Code.TOKEN_EXPIRED: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực đã hết hạn",
        "The token has expired",
    ),
    Code.TOKEN_NOT_YET_VALID: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực đề thời điểm tương lai: Hãy chỉnh đồng hồ của hệ thống.",
        "The token is dated in the future: Set the system's clock.",
    ),
    Code.TOKEN_TOO_LONG_LIVED: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực có hạn quá dài: Tối đa 5 phút.",
        "The token lives too long: At most 5 minutes.",
    ),
    Code.TOKEN_WRONG_AUDIENCE: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực dành cho dịch vụ khác",
        "The token is for another service",
    ),
    Code.TOKEN_REPLAYED: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực đã được dùng: Mỗi lần tra cứu cần một mã mới.",
        "The token was used before: Each look-up needs a token of its own.",
    ),
    Code.TOKEN_TOO_EARLY: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực được cấp trước khi dịch vụ khởi động: Hãy tạo mã mới.",
        "The token was made before this service started: Make a new one.",
    ),
    Code.UNKNOWN_AGENCY: (
        HTTPStatus.UNAUTHORIZED,
        "Cơ quan chưa được đăng ký khóa",
        "No key is registered for this agency",
    ),
    Code.MALFORMED_REQUEST: (
        HTTPStatus.BAD_REQUEST,
        "Yêu cầu sai định dạng: Mục «member» không theo quy tắc «rule».",
        "The request is malformed: The member named breaks the rule given.",
    ),
    Code.TOO_LARGE: (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Yêu cầu quá lớn",
        "The request is too large",
    ),
    Code.TOO_SLOW: (
        HTTPStatus.REQUEST_TIMEOUT,
        "Yêu cầu được gửi quá chậm",
        "The request arrived too slowly",
    ),
    Code.WRONG_MEDIA_TYPE: (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Yêu cầu phải là application/json",
        "The request must be application/json",
    ),
    Code.WRONG_METHOD: (
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Phương thức không được phép",
        "The method is not allowed",
    ),
    Code.UNKNOWN_PATH: (
        HTTPStatus.NOT_FOUND,
        "Không có tài nguyên này",
        "There is nothing at this path",
    ),
    Code.NO_MATCH: (
        HTTPStatus.FORBIDDEN,
        "Không xác định được người theo thông tin đã nêu: "
        "Họ tên, ngày sinh và số định danh phải cùng khớp.",
        "No person matches what was given: Full name, date of birth and PIN must agree.",
    ),
    Code.TOO_MANY_NAMES: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Cơ quan đã hỏi về quá nhiều người hoặc vụ việc mới: Hãy thử lại sau ít phút.",
        "Too many new people and cases were asked about: Try again in some minutes.",
    ),
    Code.BUSY: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Dịch vụ đang quá tải: Hãy thử lại.",
        "The service is busy: Try again.",
    ),
    Code.OVERDUE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Không kịp trả lời: Không có dữ liệu nào được trả; hãy thử lại.",
        "There was no answer in time: No data was given; try again.",
    ),
    Code.CANNOT_RECORD: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Không ghi được nhật ký: Không ghi được thì không có dữ liệu nào được trả.",
        "The look-up cannot be recorded: What cannot be recorded is not answered.",
    ),
    Code.CANNOT_DECIDE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Chưa thể quyết định: Chính sách hoặc trạng thái đồng ý chưa đọc được.",
        "Nothing can be decided now: Policy or consents could not be read.",
    ),
    Code.VIEW_UNAVAILABLE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Cơ sở dữ liệu dân cư không trả lời",
        "The population view does not answer",
    ),
    Code.USES_UNAVAILABLE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Không đếm được số lần sử dụng sự đồng ý: Không có dữ liệu nào được trả; hãy thử lại.",
        "Uses of consents cannot be counted now: No data was given; try again.",
    ),
    Code.NO_LEASE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Dịch vụ không còn quyền trả lời: Quyền được gia hạn mỗi giây; hãy thử lại.",
        "The service may not answer now: Its lease was not renewed; try again.",
    ),
    Code.NOT_YOURSELF: (
        HTTPStatus.FORBIDDEN,
        "Chỉ được hỏi về chính cơ quan mình",
        "An agency may ask about itself only",
    ),
    Reason.NO_AGREEMENT: (
        HTTPStatus.FORBIDDEN,
        "Không có thỏa thuận nào cho phép cơ quan tra cứu",
        "No agreement lets this agency look up",
    ),
    Reason.PURPOSE_MISMATCH: (
        HTTPStatus.FORBIDDEN,
        "Không có thỏa thuận tra cứu cho mục đích này",
        "No agreement of this agency names this purpose",
    ),
    Reason.BREAK_GLASS_ONLY: (
        HTTPStatus.FORBIDDEN,
        "Thỏa thuận này chỉ dành cho trường hợp khẩn cấp: Nêu lý do trong «break_glass».",
        "This agreement is for emergencies only: Give the reason in `break_glass`.",
    ),
    Reason.NOT_BREAK_GLASS: (
        HTTPStatus.FORBIDDEN,
        "Mục đích này không có thỏa thuận cho trường hợp khẩn cấp: Bỏ «break_glass».",
        "No agreement for emergencies serves this purpose: Leave `break_glass` out.",
    ),
    Reason.NOT_YET_IN_FORCE: (
        HTTPStatus.FORBIDDEN,
        "Thỏa thuận chưa có hiệu lực",
        "The agreement is not yet in force",
    ),
    Reason.EXPIRED: (
        HTTPStatus.FORBIDDEN,
        "Thỏa thuận đã hết hiệu lực",
        "The agreement has expired",
    ),
    Reason.AGREEMENT_SUSPENDED: (
        HTTPStatus.FORBIDDEN,
        "Thỏa thuận đang tạm đình chỉ: Hỏi bên cung cấp hoặc bộ phận bảo vệ dữ liệu.",
        "The agreement is suspended: Ask its provider or data protection.",
    ),
    Reason.AGREEMENT_REVOKED: (
        HTTPStatus.FORBIDDEN,
        "Thỏa thuận đã bị hủy bỏ",
        "The agreement was revoked",
    ),
    Reason.LIMIT_EXCEEDED: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Vượt quá giới hạn tra cứu của thỏa thuận: Hãy thử lại sau một giây.",
        "The agreement's limit of look-ups is exceeded: Try again after a second.",
    ),
    Reason.DAILY_LIMIT_EXCEEDED: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "Đã đủ số người trong ngày theo thỏa thuận: Hãy thử lại vào ngày mai.",
        "The agreement's number of people for today is reached: Try again tomorrow.",
    ),
    Reason.FIELD_NOT_IN_AGREEMENT: (
        HTTPStatus.FORBIDDEN,
        "Có trường không thuộc thỏa thuận: Bỏ các trường nêu trong «fields».",
        "A field is not in the agreement: Leave out what `fields` names.",
    ),
    Reason.FORBIDDEN_BY_RULE: (
        HTTPStatus.FORBIDDEN,
        "Quy định quốc gia không cho phép: Mục đích này không được dùng dữ liệu ấy về người này.",
        "A national rule forbids it: This purpose may not have what was asked about this person.",
    ),
    Reason.NO_CONSENT: (
        HTTPStatus.FORBIDDEN,
        "Công dân chưa đồng ý",
        "The citizen has not consented",
    ),
    Reason.CONSENT_WITHDRAWN: (
        HTTPStatus.FORBIDDEN,
        "Công dân đã rút lại sự đồng ý",
        "The citizen has withdrawn the consent",
    ),
    Reason.NOT_YOURS: (
        HTTPStatus.FORBIDDEN,
        "Cơ quan này không được làm việc đó: "
        "Bên nhận chỉ yêu cầu cho mình; chỉ phía công dân mới được đồng ý, thay đổi hoặc rút lại.",
        "Not for this agency to ask: A recipient asks for itself; "
        "only the citizen's side gives, changes and withdraws.",
    ),
    Reason.CONSENT_NOT_FOUND: (
        HTTPStatus.NOT_FOUND,
        "Người này không có sự đồng ý mang mã số đó",
        "This person has no consent of that id",
    ),
    Reason.CONSENT_STANDS_OTHERWISE: (
        HTTPStatus.CONFLICT,
        "Sự đồng ý đang ở trạng thái khác: Hãy đọc lại rồi thử lại.",
        "The consent stands otherwise: Read it again, then decide.",
    ),
    Reason.REQUEST_EXPIRED: (
        HTTPStatus.CONFLICT,
        "Yêu cầu đồng ý đã hết hạn trả lời",
        "The request has expired unanswered",
    ),
    Reason.NEVER_IN_FORCE: (
        HTTPStatus.CONFLICT,
        "Sự đồng ý sẽ không bao giờ có hiệu lực: Thời hạn đã qua.",
        "The consent would never be in force: Its end is past.",
    ),
    Reason.TEXT_OUTDATED: (
        HTTPStatus.CONFLICT,
        "Nội dung đã hiển thị không còn là bản hiện hành: Hãy hiển thị bản mới và hỏi lại.",
        "What was shown is not the current data agreement: Show the new one and ask again.",
    ),
    Reason.NOT_THE_GUARDIAN: (
        HTTPStatus.FORBIDDEN,
        "Người ký không phải người có quyền đại diện",
        "Who signs may not sign for this person",
    ),
    Reason.NOT_CAPABLE: (
        HTTPStatus.FORBIDDEN,
        "Người ký không đủ năng lực",
        "Who signs is not capable of it",
    ),
    Reason.EID_LEVEL_TOO_LOW: (
        HTTPStatus.FORBIDDEN,
        "Mức độ định danh điện tử không đủ",
        "The level of the electronic identity is too low",
    ),
    Reason.SUBJECT_DECEASED: (
        HTTPStatus.FORBIDDEN,
        "Người này đã chết",
        "The person has died",
    ),
    Reason.SUBJECT_NOT_FOUND: (
        HTTPStatus.NOT_FOUND,
        "Không có người này",
        "There is no such person",
    ),
    Reason.CONSENT_PAUSED: (
        HTTPStatus.FORBIDDEN,
        "Công dân đã tạm dừng sự đồng ý",
        "The citizen has paused the consent",
    ),
    Reason.CONSENT_USED_UP: (
        HTTPStatus.FORBIDDEN,
        "Đã dùng hết số lần được đồng ý",
        "All uses that were consented to are spent",
    ),
    Reason.CONSENT_EXPIRED: (
        HTTPStatus.FORBIDDEN,
        "Sự đồng ý đã hết hạn",
        "The consent has expired",
    ),
    Reason.CONSENT_TOO_NARROW: (
        HTTPStatus.FORBIDDEN,
        "Sự đồng ý không bao gồm đủ các trường yêu cầu",
        "The consent does not cover all fields asked for",
    ),
}
