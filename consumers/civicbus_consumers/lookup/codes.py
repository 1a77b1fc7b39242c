"""Why there is no data, besides the reasons of a decision: each code, and what is told with it.

The rooms that answer agencies share these; a room with codes of its own has a table beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

Texts = tuple[HTTPStatus, str, str]
"""A status, and "title" or "title: detail" in Vietnamese and in English."""


class Code(StrEnum):
    """What stood in the way; a decision's own reasons are `vocabulary.Reason`."""

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


CODE_TEXTS: Mapping[StrEnum, Texts] = {
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
}
