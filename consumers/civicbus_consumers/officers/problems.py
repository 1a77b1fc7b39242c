"""Why the officers' process gives no answer: its own codes beside those that all rooms share.

The texts are fixed. What an asker must know to repair a question is told as `member`, `expected`
and `next_step`; `got` tells a kind or a length, never what was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.lookup.codes import Code, Texts
from civicbus_consumers.lookup.problems import Problem


class OfficersCode(StrEnum):
    """What only this process says."""

    TOKEN_MISSING = "token-missing"  # noqa: S105 (a code, no secret)
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105
    UNKNOWN_ISSUER = "unknown-issuer"
    ROLE_NOT_VOUCHED = "role-not-vouched-for"
    MALFORMED_QUERY = "malformed-query"
    CURSOR_UNKNOWN = "cursor-unknown"
    NOT_SHOWN = "not-shown"
    NOT_YET_SEALED = "not-yet-sealed"
    INDEX_UNAVAILABLE = "index-unavailable"
    EVIDENCE_BROKEN = "evidence-broken"
    NOT_THE_PERSON = "user-is-not-the-person"
    ORDER_REFUSED = "order-refused"
    NOTHING_SEALED = "nothing-sealed"
    UNREAD_UNAVAILABLE = "unread-unavailable"
    CASES_UNAVAILABLE = "cases-unavailable"
    SAVED_UNAVAILABLE = "saved-queries-unavailable"
    EXPORT_TOO_LARGE = "export-too-large"
    EXPORT_TAKES_TWO = "export-takes-two"
    EXPORT_FAILED = "export-failed"


class OfficersProblem(Problem):
    """A problem with a text of this process's own, or with the shared one."""

    @property
    def texts(self) -> Texts:
        """Status and texts."""
        return _TEXTS.get(self.code) or super().texts


def malformed(member: str, *, got: str, expected: str, next_step: str) -> OfficersProblem:
    """A question that cannot be read: which member, and how to repair it."""
    return OfficersProblem(
        OfficersCode.MALFORMED_QUERY,
        member=member,
        got=got,
        expected=expected,
        next_step=next_step,
    )


_TEXTS: Mapping[StrEnum, Texts] = {
    OfficersCode.TOKEN_MISSING: (
        HTTPStatus.UNAUTHORIZED,
        "Thiếu mã xác thực: Gửi Authorization: Bearer kèm mã do đơn vị cấp.",
        "The token is missing: Send Authorization: Bearer with the token that your body issued.",
    ),
    OfficersCode.TOKEN_MALFORMED: (
        HTTPStatus.UNAUTHORIZED,
        "Mã xác thực sai định dạng: Cần JWT ký EdDSA với đúng các mục "
        "iss, sub, role, aud, iat, exp, jti.",
        "The token is malformed: A JWT signed with EdDSA is needed, with exactly the claims "
        "iss, sub, role, aud, iat, exp, jti.",
    ),
    OfficersCode.UNKNOWN_ISSUER: (
        HTTPStatus.UNAUTHORIZED,
        "Không biết đơn vị cấp mã xác thực",
        "The issuer of the token is unknown",
    ),
    OfficersCode.ROLE_NOT_VOUCHED: (
        HTTPStatus.FORBIDDEN,
        "Đơn vị cấp mã không được xác nhận vai trò này",
        "The issuer may not vouch for this role",
    ),
    OfficersCode.MALFORMED_QUERY: (
        HTTPStatus.BAD_REQUEST,
        "Câu hỏi chưa hợp lệ: Xem «member», «expected» và «next_step».",
        "The question is malformed: See `member`, `expected` and `next_step`.",
    ),
    OfficersCode.CURSOR_UNKNOWN: (
        HTTPStatus.BAD_REQUEST,
        "Dấu trang không thuộc câu hỏi này: Hãy hỏi lại từ đầu, không kèm «cursor».",
        "The cursor is not of this question: Ask again from the start, without `cursor`.",
    ),
    OfficersCode.NOT_SHOWN: (
        HTTPStatus.FORBIDDEN,
        "Bản ghi này chưa được hiển thị cho bạn: Hãy hỏi trước rồi dùng liên kết «proof» của dòng.",
        "This record was not shown to you: Ask first, then follow a row's `proof`.",
    ),
    OfficersCode.NOT_YET_SEALED: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Sổ cái chưa có lá nào: Hãy thử lại sau giây lát.",
        "The ledger has no leaf yet: Try again in a moment.",
    ),
    OfficersCode.INDEX_UNAVAILABLE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Chỉ mục hoặc sổ cái không trả lời: Không có gì được hiển thị; hãy thử lại.",
        "Index or ledger does not answer: Nothing was shown; try again.",
    ),
    OfficersCode.EVIDENCE_BROKEN: (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Chỉ mục nói khác sổ cái: Không có gì được hiển thị; báo ngay cho bộ phận giám sát.",
        "The index says something else than the ledger: Nothing is shown; tell the supervisors.",
    ),
    OfficersCode.NOT_THE_PERSON: (
        HTTPStatus.FORBIDDEN,
        "Chỉ được hỏi về chính mình: X-Road-UserId và userCode phải là người mà mã xác thực nêu.",
        "Only about yourself: X-Road-UserId and userCode must be the person of the token.",
    ),
    OfficersCode.ORDER_REFUSED: (
        HTTPStatus.FORBIDDEN,
        "Lệnh chưa đủ hai người: Một cán bộ đề nghị, một người giám sát khác phê duyệt, "
        "trong vòng một ngày.",
        "Two officials have not given this order: An officer requests, a supervisor of another "
        "name approves, within a day.",
    ),
    OfficersCode.NOTHING_SEALED: (
        HTTPStatus.NOT_FOUND,
        "Không có phần niêm phong: Không có bản ghi này, hoặc phần niêm phong đã được xóa.",
        "Nothing is sealed there: There is no such record, or its sealed part was erased.",
    ),
    OfficersCode.UNREAD_UNAVAILABLE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Chưa biết bên nhận đã đọc đến đâu: Hãy thử lại sau giây lát.",
        "What recipients have read cannot be told now: Try again in a moment.",
    ),
    OfficersCode.CASES_UNAVAILABLE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Không ghi được hồ sơ vụ việc: Hãy xem lại hồ sơ rồi thử lại.",
        "The cases cannot be kept or read: Look at the case's file, then try again.",
    ),
    OfficersCode.SAVED_UNAVAILABLE: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Không ghi được câu hỏi đã lưu: Hãy xem lại danh sách rồi thử lại.",
        "The saved queries cannot be kept or read: Look at the list, then try again.",
    ),
    OfficersCode.EXPORT_TOO_LARGE: (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Quá nhiều bản ghi cho một gói: Hãy thu hẹp câu hỏi, hoặc đề nghị bên vận hành sổ cái.",
        "Too many records for one bundle: Ask for less, or have the ledger's operator export it.",
    ),
    OfficersCode.EXPORT_TAKES_TWO: (
        HTTPStatus.FORBIDDEN,
        "Nhiều bản ghi hơn mức một cán bộ được tự xuất: Hãy thu hẹp câu hỏi, hoặc đề nghị "
        "người giám sát phê duyệt lệnh xuất.",
        "More records than one official exports alone: Ask for less, or let a supervisor approve "
        "an order to export.",
    ),
    OfficersCode.EXPORT_FAILED: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Gói bằng chứng chưa được tạo: Không có gì được trao; hãy thu hẹp câu hỏi hoặc thử lại.",
        "The bundle was not made: Nothing was given; ask for less, or try again.",
    ),
    Code.CANNOT_RECORD: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Không ghi được câu hỏi: Không ghi được thì không có gì được hiển thị.",
        "The question cannot be recorded: What cannot be recorded is not answered.",
    ),
    Reason.PURPOSE_MISMATCH: (
        HTTPStatus.FORBIDDEN,
        "Mục đích không thuộc vai trò này",
        "This role does not ask for this purpose",
    ),
    Reason.CASE_MISSING: (
        HTTPStatus.FORBIDDEN,
        "Hỏi về một người cụ thể thì phải nêu vụ việc: Điền «case».",
        "Whoever asks about a named person must name a case: Fill in `case`.",
    ),
    Reason.CASE_EXISTS: (
        HTTPStatus.CONFLICT,
        "Đã có vụ việc mang mã này: Nếu bạn gửi lại thì vụ việc đã được mở.",
        "There is a case of this id: If you called again, it was opened the first time.",
    ),
    Reason.CASE_NOT_FOUND: (
        HTTPStatus.FORBIDDEN,
        "Cơ quan của bạn không có vụ việc này",
        "Your agency has no such case",
    ),
    Reason.CASE_CLOSED: (
        HTTPStatus.CONFLICT,
        "Vụ việc đã đóng: Hãy mở vụ việc mới.",
        "The case is closed: Open another one.",
    ),
    Reason.SAVED_NOT_FOUND: (
        HTTPStatus.FORBIDDEN,
        "Không có câu hỏi đã lưu này, hoặc không phải của bạn",
        "There is no such saved query, or it is not yours",
    ),
    Reason.LIMIT_EXCEEDED: (
        HTTPStatus.CONFLICT,
        "Đã đạt số lượng cho phép: Hãy xóa bớt một câu hỏi đã lưu, hoặc đóng một vụ việc.",
        "There are as many as there may be: Drop a saved query, or close a case.",
    ),
    Reason.RECORD_NOT_FOUND: (
        HTTPStatus.FORBIDDEN,
        "Không có bản ghi này, hoặc vai trò của bạn không được xem",
        "There is no such record, or none that your role is shown",
    ),
    Reason.NOT_YOURS: (
        HTTPStatus.FORBIDDEN,
        "Chỉ được hỏi về cơ quan mình",
        "An agency's auditor asks about that agency only",
    ),
    Reason.NOT_YOUR_ROLE: (
        HTTPStatus.FORBIDDEN,
        "Vai trò này không được hỏi điều đó",
        "This role may not ask that",
    ),
    Reason.NOT_ABOUT_YOU: (
        HTTPStatus.FORBIDDEN,
        "Công dân chỉ được hỏi về chính mình",
        "A citizen asks about himself only",
    ),
}
