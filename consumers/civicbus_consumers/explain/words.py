"""Explanations in words that an officer understands, in Vietnamese and English. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.terms import Title
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.explain.rules import Action, Explanation, Judged, Law, Question

_SENTENCE = Title(
    vi="{recipient} {may} {fields} của {dataset} cho mục đích «{purpose}» vào ngày {day}: {why}.",
    en="{recipient} {may} {fields} of {dataset} for “{purpose}” on {day}: {why}.",
)
_MAY = {
    Action.RELEASE: Title(vi="được nhận", en="may receive"),
    Action.READ: Title(vi="được đọc", en="may read"),
    Action.VERIFY: Title(vi="được đối chiếu", en="may verify"),
}
_MAY_NOT = {
    Action.RELEASE: Title(vi="không được nhận", en="may not receive"),
    Action.READ: Title(vi="không được đọc", en="may not read"),
    Action.VERIFY: Title(vi="không được đối chiếu", en="may not verify"),
}
_WHOLE = Title(vi="mọi trường của thỏa thuận", en="what the agreement names")
_BECAUSE = Title(
    vi="thỏa thuận {agreement} cho phép, dựa trên {basis}",
    en="agreement {agreement} allows it, on {basis}",
)
WHY = {
    Reason.NO_AGREEMENT: Title(
        vi="không có thỏa thuận nào về dữ liệu này", en="there is no agreement on this data"
    ),
    Reason.PURPOSE_MISMATCH: Title(
        vi="không có thỏa thuận nào cho mục đích này", en="no agreement names this purpose"
    ),
    Reason.BREAK_GLASS_ONLY: Title(
        vi="thỏa thuận {agreement} chỉ dành cho trường hợp khẩn cấp",
        en="agreement {agreement} is for emergencies only",
    ),
    Reason.NOT_BREAK_GLASS: Title(
        vi="thỏa thuận {agreement} không dành cho trường hợp khẩn cấp",
        en="agreement {agreement} is not for emergencies",
    ),
    Reason.NOT_YET_IN_FORCE: Title(
        vi="thỏa thuận {agreement} chưa có hiệu lực", en="agreement {agreement} is not yet in force"
    ),
    Reason.EXPIRED: Title(
        vi="thỏa thuận {agreement} đã hết hiệu lực", en="agreement {agreement} has expired"
    ),
    Reason.AGREEMENT_SUSPENDED: Title(
        vi="thỏa thuận {agreement} đang tạm đình chỉ", en="agreement {agreement} is suspended"
    ),
    Reason.AGREEMENT_REVOKED: Title(
        vi="thỏa thuận {agreement} đã bị hủy bỏ", en="agreement {agreement} was revoked"
    ),
    Reason.FIELD_NOT_IN_AGREEMENT: Title(
        vi="thỏa thuận {agreement} không nêu {outside}",
        en="agreement {agreement} does not name {outside}",
    ),
    Reason.FORBIDDEN_BY_RULE: Title(
        vi="quy định quốc gia {rule} không cho phép ({ground})",
        en="the national rule {rule} forbids it ({ground})",
    ),
    Reason.CONDITION_NOT_MET: Title(
        vi="điều kiện của thỏa thuận {agreement} không được đáp ứng",
        en="a condition of agreement {agreement} is not met",
    ),
    Reason.NO_CONSENT: Title(
        vi="thỏa thuận {agreement} cần sự đồng ý của công dân",
        en="agreement {agreement} needs the citizen's consent",
    ),
}
"""Why not, for every reason that a question about nobody can come to."""

NEEDED = {
    Reason.NO_AGREEMENT: Title(
        vi="một thỏa thuận cho mục đích này; căn cứ có thể là: {bases}",
        en="an agreement for this purpose; it may rest on: {bases}",
    ),
    Reason.PURPOSE_MISMATCH: Title(
        vi="một thỏa thuận cho mục đích này; hiện chỉ có cho: {purposes}",
        en="an agreement for this purpose; there is one for: {purposes}",
    ),
    Reason.BREAK_GLASS_ONLY: Title(
        vi="tính mạng bị đe dọa, và lý do sẽ được xem xét trong 24 giờ",
        en="a life that depends on it, and a reason that is reviewed within 24 hours",
    ),
    Reason.NOT_BREAK_GLASS: Title(vi="tra cứu theo cách thông thường", en="an ordinary look-up"),
    Reason.NOT_YET_IN_FORCE: Title(vi="chờ đến ngày {begin}", en="waiting until {begin}"),
    Reason.AGREEMENT_SUSPENDED: Title(
        vi="bên đã đình chỉ cho tiếp tục thực hiện thỏa thuận",
        en="that the party which suspended the agreement resumes it",
    ),
    Reason.AGREEMENT_REVOKED: Title(
        vi="một phiên bản mới của thỏa thuận, được cả hai bên phê duyệt",
        en="a new version of the agreement, approved by both parties",
    ),
    Reason.EXPIRED: Title(
        vi="một phiên bản mới của thỏa thuận; bản này hết hạn ngày {end}",
        en="a new version of the agreement; this one ended on {end}",
    ),
    Reason.FIELD_NOT_IN_AGREEMENT: Title(
        vi="bỏ {outside}, hoặc sửa đổi thỏa thuận",
        en="leaving out {outside}, or amending the agreement",
    ),
    Reason.FORBIDDEN_BY_RULE: Title(
        vi="không thỏa thuận hay sự đồng ý nào vượt qua được quy định {rule} ({ground}){age}",
        en="no agreement and no consent goes beyond the rule {rule} ({ground}){age}",
    ),
    Reason.CONDITION_NOT_MET: Title(
        vi="{conditions}{age}",
        en="{conditions}{age}",
    ),
    Reason.NO_CONSENT: Title(
        vi="sự đồng ý cho {recipient} với mục đích này, bao gồm {consented}",
        en="a consent for {recipient} and this purpose that covers {consented}",
    ),
}
"""What would be needed instead, for the same reasons."""

_CONDITION = Title(vi="{path}: dưới {years} tuổi", en="{path}: under {years} years of age")
_AGE = Title(
    vi="; tuổi chưa nêu: nêu tuổi có thể đổi câu trả lời",
    en="; the age was not told: telling it may change the answer",
)
_NONE = Title(vi="không có", en="none")
_BY_CODE = Title(vi="{reason}", en="{reason}")


def sentence(explanation: Explanation, law: Law) -> Title:
    """The decision in one sentence: who may have what, or not, and why."""
    vietnamese, english = _speakers(explanation, law)
    return Title(vi=vietnamese.sentence(), en=english.sentence())


def needs(explanation: Explanation, law: Law) -> tuple[Title, ...]:
    """What would be needed instead: each obstacle as if the one before were gone."""
    vietnamese, english = _speakers(explanation, law)
    return tuple(
        Title(vi=vietnamese.said(NEEDED, step), en=english.said(NEEDED, step))
        for step in explanation.obstacles
    )


def _speakers(explanation: Explanation, law: Law) -> tuple[_Speaker, _Speaker]:
    return (
        _Speaker(explanation=explanation, law=law, tongue=lambda title: title.vi),
        _Speaker(explanation=explanation, law=law, tongue=lambda title: title.en),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speaker:
    """Tells one explanation in one language, which `tongue` picks of two."""

    explanation: Explanation
    law: Law
    tongue: Callable[[Title], str]

    def sentence(self) -> str:
        question = self.explanation.question
        may = _MAY if self.explanation.permitted else _MAY_NOT
        return self.tongue(_SENTENCE).format(
            recipient=self._recipient(),
            may=self.tongue(may[question.action]),
            fields=", ".join(question.fields) or self.tongue(_WHOLE),
            dataset=question.dataset,
            purpose=self._purpose(question.purpose),
            day=question.day,
            why=self.said(WHY, self.explanation.steps[0]),
        )

    def said(self, words: Mapping[Reason, Title], step: Judged) -> str:
        """The words for a verdict, with their gaps filled."""
        verdict, question = step.verdict, step.question
        template = _BECAUSE if verdict.reason is None else words.get(verdict.reason, _BY_CODE)
        agreement = verdict.agreement
        return self.tongue(template).format(
            reason=verdict.reason,
            recipient=self._recipient(),
            outside=", ".join(verdict.fields),
            rule=verdict.rule,
            ground=self.law.grounds.get(verdict.rule or ""),
            age=self.tongue(_AGE) if question.age is None else "",
            bases=self._bases(),
            purposes=self._purposes(),
            **({} if agreement is None else self._of(agreement, question)),
        )

    def _of(self, agreement: Agreement, question: Question) -> dict[str, object]:
        basis = self.law.policy.bases[agreement.basis]
        release = agreement.releases.get(question.dataset)
        paths = question.fields if release is None else release.paths
        conditions = [] if release is None else release.only_if
        return {
            "agreement": agreement.ref,
            "basis": f"{self.tongue(basis.titles)} ({basis.article})",
            "begin": agreement.valid_from,
            "end": agreement.valid_until,
            "consented": ", ".join(f"{question.dataset}:{path}" for path in paths),
            "conditions": "; ".join(
                self.tongue(_CONDITION).format(path=c.path, years=c.years) for c in conditions
            ),
        }

    def _recipient(self) -> str:
        recipient = self.explanation.question.recipient
        agency = self.law.policy.agencies.get(recipient)
        return recipient if agency is None else self.tongue(agency.names)

    def _purpose(self, purpose: str) -> str:
        known = self.law.policy.purposes.get(purpose)
        return purpose if known is None else self.tongue(known.titles)

    def _bases(self) -> str:
        """The bases on which this purpose may rest, as far as they serve such a recipient."""
        policy, question = self.law.policy, self.explanation.question
        purpose = policy.purposes.get(question.purpose)
        agency = policy.agencies.get(question.recipient)
        if purpose is None or agency is None:
            return self.tongue(_NONE)
        bases = [policy.bases[basis] for basis in purpose.bases]
        told = [
            f"{self.tongue(basis.titles)} ({basis.article})"
            for basis in bases
            if agency.kind in basis.recipient_kinds
        ]
        return "; ".join(told) or self.tongue(_NONE)

    def _purposes(self) -> str:
        """The purposes for which this recipient has agreements on this dataset."""
        question = self.explanation.question
        named = {
            agreement.purpose
            for agreement in self.law.policy.agreements
            if agreement.recipient == question.recipient
            and question.dataset in {*agreement.releases, *agreement.reads}
        }
        return "; ".join(map(self._purpose, sorted(named))) or self.tongue(_NONE)
