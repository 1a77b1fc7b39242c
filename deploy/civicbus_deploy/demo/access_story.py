"""Chapters on access: an agreement, signed by two; a rule above it; one single use; an emergency.

As `story`: each chapter does what it tells on the running stack, and returns its checks.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from civicbus_audit.index.oversight import Emergency
from civicbus_schemas.ids import AgencyId, RecordId
from civicbus_schemas.statement import Role, Word
from civicbus_schemas.vocabulary import ConsentAct

from civicbus_deploy.agreements import acting
from civicbus_deploy.demo import people
from civicbus_deploy.demo.people import Family, Somebody
from civicbus_deploy.demo.scene import Scene
from civicbus_deploy.demo.story import FORBIDDEN, OK, Told, ask
from civicbus_deploy.demo.teller import Teller
from civicbus_deploy.oversight.acting import Officer, Verdict, find_emergencies, review
from civicbus_deploy.provisioning import ProvisioningReport, provision
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.documents import InvalidNation
from civicbus_deploy.provisioning.nation import load_nation, packaged_nation

AGREEMENT = "vss.funeral-allowance-check"
_DRAFT = f"""\
agreement: {AGREEMENT}
version: 1
provider: npd
recipient: vss
purpose: {people.ALLOWANCE}
basis: law.state-management
consent: not-required
reads:
  population.Person:
    verify: [full_name, date_of_birth, deceased_on]
limits: {{per_second: 50}}
valid: {{from: 2026-01-01, until: 2034-12-31}}
retention: P2Y
approved_by: [{{agency: npd, role: provider}}, {{agency: mps, role: data-protection}}]
"""


def tell_agreement(scene: Scene, teller: Teller, told: Told, *, citizen: Somebody) -> None:
    """An agreement binds when both officers have signed it, and stops when one of them says so."""
    teller.chapter("Two officers sign an agreement")
    site = Site.open(scene.folder.home)
    nation = _own_copy(scene)
    (nation / "agreements" / f"{AGREEMENT}.yaml").write_text(_DRAFT, "utf-8")
    asked = people.still_alive(citizen)

    draft = provision(scene.folder.home, nation)
    waits_for = " and ".join(draft.drafts[f"{AGREEMENT}@1"])
    before = ask(scene, told, agency="vss", body=asked)
    teller.say(f"A draft waits for {waits_for}; asked, it gives nothing: {_code(before)}.")

    loaded = load_nation(nation)
    acting.approve(site.folder, loaded, [AGREEMENT], role=Role.PROVIDER)
    half = provision(scene.folder.home, nation)
    acting.approve(site.folder, loaded, [AGREEMENT], role=Role.DATA_PROTECTION)
    whole = provision(scene.folder.home, nation)
    bound_s = _await(site, whole)
    granted = ask(scene, told, agency="vss", body=asked)
    teller.say(
        f"Both have signed; policy [bold]{whole.policy[:16]}…[/] binds everywhere after"
        f" {bound_s * 1000:.0f} ms. Asked again: {_code(granted)}."
    )

    stopped = acting.act(
        site, AGREEMENT, Word.SUSPEND, role=Role.DATA_PROTECTION, reason="kiểm tra (SYN)"
    )
    after = ask(scene, told, agency="vss", body=asked)
    teller.say(
        f"Data protection suspends it, everywhere after {(stopped.fence_s or 0) * 1000:.0f} ms."
        f" Asked once more: {_code(after)}."
    )
    told.checks["agreement_binds_when_two_have_signed"] = (
        (len(draft.drafts), len(half.drafts), len(whole.drafts)) == (1, 1, 0)
        and (before[0], granted[0], after[0]) == (FORBIDDEN, OK, FORBIDDEN)
        and after[1].get("code") == "agreement-suspended"
    )


def tell_rule(scene: Scene, teller: Teller, told: Told) -> None:
    """A national rule refuses what an agreement would give, before anything binds."""
    teller.chapter("A rule above every agreement")
    with tempfile.TemporaryDirectory() as below:
        nation = shutil.copytree(_own_copy(scene), Path(below) / "vietnam")
        file = nation / "agreements" / "mps.birth-residence.yaml"
        file.write_text(file.read_text("utf-8").replace("child.sex", "child.ethnicity"), "utf-8")
        try:
            load_nation(nation)
        except InvalidNation as refused:
            teller.say(f"A child's ethnic group for a one-stop procedure? {refused}")
            told.checks["rule_forbids_what_an_agreement_names"] = "no-origin-for-one-stop" in str(
                refused
            )
        else:
            told.checks["rule_forbids_what_an_agreement_names"] = False


def tell_one_use(scene: Scene, teller: Teller, told: Told, *, family: Family) -> None:
    """A consent for one time is good for one time."""
    teller.chapter("A consent for one time")
    citizen, consent_id = family.mother, str(uuid.uuid4())
    shown = scene.shown(people.BANK, people.PURPOSE)
    once = people.consenting(citizen, consent_id, shown=shown, uses=1)
    scene.pass_fence(scene.consent(ConsentAct.GIVE, once))
    first, second = (
        ask(scene, told, agency=people.BANK, body=people.borrower_check(citizen)) for _ in range(2)
    )
    teller.say(f"The bank asks: {_code(first)}. It asks again: {_code(second)}.")
    told.checks["consent_for_one_time_is_used_once"] = (first[0], second[0]) == (
        OK,
        FORBIDDEN,
    ) and second[1].get("code") == "consent-used-up"


def tell_emergency(scene: Scene, teller: Teller, told: Told, *, patient: Somebody) -> None:
    """A hospital breaks the glass to save a life: answered at once, listed for review at once."""
    teller.chapter("A hospital breaks the glass")
    without = ask(scene, told, agency=people.HOSPITAL, body=people.emergency(patient, why=None))
    status, answer = ask(
        scene, told, agency=people.HOSPITAL, body=people.emergency(patient, why="bất tỉnh (SYN)")
    )
    teller.say(f"Without a reason: {_code(without)}. With one: {_code((status, answer))}.")
    record = RecordId(answer.get("receipt", {}).get("record_id", ""))

    def standing() -> Emergency | None:
        found = [e for e in find_emergencies(scene.folder) if e.entry.id == record]
        return found[0] if found else None

    scene.wait(lambda: standing() is not None, "the emergency to be sealed")
    opened = standing()
    site, reviewer = Site.open(scene.folder.home), Officer(agency=AgencyId("mps"), name="tt-1")
    review(site, record, Verdict.JUSTIFIED, by=reviewer, note="ca cấp cứu có thật (SYN)")
    scene.wait(
        lambda: (now := standing()) is not None and now.review is not None,
        "the review to be sealed",
    )
    teller.say(f"Record {record[:8]}… waited for a review; data protection finds it justified.")
    told.checks["broken_glass_is_told_and_reviewed"] = (
        (without[0], status) == (FORBIDDEN, OK) and opened is not None and opened.review is None
    )


def _own_copy(scene: Scene) -> Path:
    """The nation's files of this stack, which the story may change."""
    folder = scene.folder.home / "nation" / "vietnam"
    if not folder.exists():
        ignored = shutil.ignore_patterns("*.py*", "__pycache__")
        shutil.copytree(packaged_nation(), folder, ignore=ignored)
    return folder


def _await(site: Site, report: ProvisioningReport) -> float:
    """Wait until what was announced binds everywhere; the seconds."""
    return 0.0 if report.offset is None else acting.wait_for(site, report.offset)


def _code(answer: tuple[int, dict[str, Any]]) -> str:
    return "answered" if answer[0] == OK else f"refused, [bold]{answer[1].get('code')}[/]"
