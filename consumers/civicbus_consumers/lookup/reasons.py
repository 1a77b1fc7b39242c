"""What an agency is told with each reason of a decision that is shown to it.

`replies.outward` has turned those that it must not tell apart into one code before.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus

from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.lookup.codes import Texts

REASON_TEXTS: Mapping[StrEnum, Texts] = {
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
