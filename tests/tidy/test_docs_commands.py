"""Every command in a document is one that exists, and a test runs it: here stands which."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import typer
from civicbus_audit.cli import app as audit_app
from civicbus_deploy.cli import MOUNTED
from civicbus_deploy.cli import app as civicbus_app

from tests.tidy import documents
from tests.tidy.documents import DOCUMENTS, Command
from tests.tidy.rules import ROOT

_LIFECYCLE = "tests/integration/test_embedded_lifecycle.py"
_AUDIT = "tests/unit/test_audit_commands.py"
_WITNESS = "tests/unit/test_witness_process.py"
_INDEX = (
    "tests/integration/test_audit_index.py"
    "::test_the_commands_tell_the_story_when_the_index_was_rebuilt"
)
_VIEW = (
    "tests/integration/test_population_rebuild.py::test_commands_tell_status_and_hash_when_asked"
)
_HELP = (
    "tests/tidy/test_docs_commands.py::test_make_has_about_a_dozen_verbs_when_it_is_asked_for_help"
)
_DEMO = (
    "tests/e2e/test_demo.py"
    "::test_every_check_holds_and_the_exit_code_says_so_when_the_demo_is_played"
)
_STOPPED = (
    "tests/integration/test_agreement_life.py"
    "::test_an_agreement_is_stopped_and_resumed_behind_a_fence_when_its_party_says_so"
)
_CONSENT_VERBS = (
    *("request", "give", "refuse", "renew", "pause", "resume", "withdraw"),
    *("list", "receipt"),
)
_ROTATION = "tests/unit/test_pseudonyms_command.py"
_ROTATED = f"{_ROTATION}::test_one_recipients_key_is_new_and_the_former_kept_when_it_is_rotated"
_DRY = "tests/tidy/test_docs_commands.py::test_make_would_run_the_tool_when_the_verb_is_called"

_ERASED = (
    "tests/integration/test_oversight.py"
    "::test_person_is_forgotten_and_every_proof_holds_when_two_officials_order_it"
)
_OVERSIGHT = (
    "tests/integration/test_oversight.py"
    "::test_emergency_is_listed_until_another_agency_has_reviewed_it"
)

# command → the test that runs it, or the script of CI
_REVIEW = "tests/unit/test_agreement_changes.py"
RUN_BY = {
    "civicbus up": f"{_LIFECYCLE}::test_nothing_changes_when_up_is_called_twice",
    "civicbus status": f"{_LIFECYCLE}::test_nothing_changes_when_up_is_called_twice",
    "civicbus doctor": f"{_LIFECYCLE}::test_nothing_changes_when_up_is_called_twice",
    "civicbus down": (
        f"{_LIFECYCLE}::test_state_stays_and_a_taken_port_is_named_when_the_stack_is_down"
    ),
    "civicbus env": "tests/unit/test_embedded_cli.py::test_agency_gets_its_own_connection",
    "civicbus provision": (
        "tests/integration/test_provisioning_broker.py"
        "::test_the_command_says_what_it_would_do_when_it_is_asked_for_a_plan"
    ),
    "civicbus demo": _DEMO,
    "civicbus agreement lint": f"{_REVIEW}::test_lint_says_that_the_nation_is_sound",
    "civicbus agreement list": f"{_REVIEW}::test_list_says_what_is_in_force_on_a_day",
    "civicbus agreement diff": (
        f"{_REVIEW}::test_diff_says_who_newly_sees_what_between_two_folders"
    ),
    "civicbus agreement approve": (
        "tests/integration/test_provisioning_broker.py"
        "::test_a_new_version_is_registered_and_announced_when_an_agreement_changes"
    ),
    "civicbus agreement suspend": _STOPPED,
    "civicbus agreement resume": _STOPPED,
    "civicbus agreement revoke": (
        "tests/integration/test_agreement_life.py"
        "::test_an_agreement_is_over_for_good_when_it_is_revoked"
    ),
    "civicbus pseudonyms list": _ROTATED,
    "civicbus pseudonyms rotate": _ROTATED,
    "civicbus pseudonyms retire": (
        f"{_ROTATION}::test_no_file_holds_the_former_key_when_it_was_retired"
    ),
    "civicbus explain": (
        "tests/unit/test_explain_command.py::test_officer_reads_why_when_it_is_asked"
    ),
    "civicbus breakglass list": _OVERSIGHT,
    "civicbus breakglass review": _OVERSIGHT,
    "civicbus order request": _ERASED,
    "civicbus order approve": _ERASED,
    "civicbus order carry-out": _ERASED,
    "civicbus case close": (
        "tests/integration/test_oversight.py"
        "::test_investigation_is_hidden_and_counted_until_its_case_is_closed"
    ),
    **dict.fromkeys(
        ("civicbus officers ask", "civicbus officers token"),
        "tests/integration/test_officers_process.py"
        "::test_commands_ask_and_pages_show_when_the_stack_serves",
    ),
    "civicbus agreement unused": (
        "tests/unit/test_agreement_usage.py::test_command_lists_what_was_never_used"
    ),
    **dict.fromkeys(
        (f"civicbus consent {verb}" for verb in _CONSENT_VERBS),
        "tests/integration/test_consent_registry.py"
        "::test_a_citizen_and_a_bank_do_everything_by_commands",
    ),
    "civicbus scrub": (
        "tests/integration/test_insider_attacks.py"
        "::test_the_command_names_what_was_edited_and_exits_with_1"
    ),
    "civicbus replay": (
        "tests/unit/test_replay.py::test_command_counts_and_exits_with_0_when_nothing_differs"
    ),
    "civicbus shadow": (
        "tests/unit/test_shadow.py::test_command_tells_flips_by_agreement_field_and_reason"
    ),
    "civicbus audit search": _INDEX,
    "civicbus audit who-read": _INDEX,
    "civicbus population status": _VIEW,
    "civicbus population hash": _VIEW,
    "civicbus population rebuild": _VIEW,
    "civicbus-audit search": _INDEX,
    "civicbus-audit who-read": _INDEX,
    "civicbus-audit rebuild-index": _INDEX,
    "civicbus-audit verify": f"{_AUDIT}::test_verify_tells_the_same_as_json_when_asked",
    "civicbus officers case": (
        "tests/integration/test_officers_process.py"
        "::test_commands_keep_a_case_that_outlives_the_process"
    ),
    "civicbus officers saved": (
        "tests/integration/test_officers_process.py"
        "::test_commands_save_a_query_and_run_its_newest_version"
    ),
    "civicbus officers unread": (
        "tests/integration/test_consent_fence.py"
        "::test_citizen_sees_what_is_unread_and_the_bank_is_told_behind_it_when_he_withdraws"
    ),
    "civicbus-audit fences": (
        "tests/unit/test_audit_fences.py"
        "::test_command_finds_the_breach_when_the_withdrawal_is_named"
    ),
    "civicbus-audit prove": f"{_AUDIT}::test_a_proof_holds_offline_when_it_was_written",
    "civicbus-audit prove-complete": (
        "tests/unit/test_audit_completing.py"
        "::test_a_proof_says_what_is_proved_and_what_was_only_read_when_it_is_written_and_verified"
    ),
    **dict.fromkeys(
        ("civicbus audit export", "civicbus officers export"),
        "tests/integration/test_officers_process.py"
        "::test_bundles_are_on_record_before_they_are_made",
    ),
    "civicbus-audit serve": (
        "tests/unit/test_audit_serving.py::test_the_command_serves_until_it_is_told_to_end"
    ),
    "civicbus-audit witness key": f"{_WITNESS}::test_the_key_is_refused_when_others_may_read_it",
    "civicbus-audit witness run": f"{_WITNESS}::test_the_line_verifies_when_the_log_continues",
    "civicbus-audit prune": (
        "tests/unit/test_audit_pruning_commands.py"
        "::test_commands_say_from_where_they_hold_when_the_ledger_was_pruned"
    ),
    "civicbus-audit fsck": (
        "tests/integration/test_audit_index.py::test_the_index_is_made_anew_when_fsck_repairs_it"
    ),
    "civicbus-audit rebuild-state": (
        f"{_AUDIT}::test_sealing_goes_on_exactly_once_when_the_state_was_lost_and_rebuilt"
    ),
    # the supervisor of the demo's stack starts exactly these
    "python -m civicbus_consumers.enforcement": _DEMO,
    "python -m civicbus_consumers.consent": _DEMO,
    "python -m civicbus_consumers.sealing": _DEMO,
    "python -m civicbus_consumers.indexing": _DEMO,
    "python -m civicbus_consumers.population": _DEMO,
    "python -m civicbus_consumers.lookup": _DEMO,
    **dict.fromkeys(
        (
            *(f"civicbus flags {verb}" for verb in ("list", "show", "label")),
            "python -m civicbus_consumers.flags",
        ),
        "tests/integration/test_flags_process.py"
        "::test_flag_is_listed_until_another_agency_has_labelled_it",
    ),
    "python -m civicbus_consumers.officers": (
        "tests/integration/test_officers_process.py"
        "::test_row_is_proved_offline_when_an_officer_was_shown_it"
    ),
    "python -m tests.benchmarks": _DRY,  # as `make bench`; its checks have tests of their own
    "python -m tests.benchmarks.evidence": (
        "tests/unit/test_benchmarks_checks.py"
        "::test_bundles_are_made_and_verified_when_evidence_is_measured"
    ),
    "python -m tests.benchmarks.verifying": (
        "tests/unit/test_benchmarks_checks.py"
        "::test_a_ledger_is_sealed_and_verified_when_verifying_is_measured"
    ),
    "python -m tests.benchmarks.flags": (
        "tests/properties/test_flags_properties.py"
        "::test_nearly_every_kind_of_abuse_is_found_when_the_set_is_small"
    ),
    "make setup": ".ci/run",
    "make lint": ".ci/run",
    "make types": ".ci/run",
    "make imports": ".ci/run",
    "make test": ".ci/run",
    "make test-fast": _DRY,
    "make test-broker": _DRY,
    "make campaign": _DRY,
    "make bench": _DRY,
    "make demo": _DRY,
    "make help": _HELP,
    "make lock": _DRY,
    "make clean": _DRY,
}

SHOWN = [command for source in DOCUMENTS for command in documents.shown_commands(source)]
NAMED = [command for source in DOCUMENTS for command in documents.named_commands(source)]


def verbs(command: Command) -> Iterator[str]:
    """What is called, without arguments; each verb of a `make` by itself."""
    match command.words:
        case ("make", *wanted):
            yield from (f"make {verb}" for verb in wanted)
        case ("python", "-m", module, *_):
            yield f"python -m {module}"
        case (program, member, verb, *_) if f"{program} {member}" in documents.GROUPS:
            yield f"{program} {member} {verb}"
        case (program, verb, *_):
            yield f"{program} {verb}"


def help_of_make() -> dict[str, str]:
    """The verbs of `make help`, and what each says."""
    text = (ROOT / "Makefile").read_text()
    return dict(re.findall(r"^([a-z-]+):.*## (.+)$", text, re.MULTILINE))


def make(*arguments: str) -> str:
    """What `make` prints, also where these tests are run by another `make`."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT, env=alone, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("command", SHOWN + NAMED, ids=lambda c: c.line)
def test_command_has_a_test_that_runs_it_when_a_document_shows_it(command: Command) -> None:
    assert [verb for verb in verbs(command) if verb not in RUN_BY] == []


@pytest.mark.parametrize("proof", sorted(set(RUN_BY.values())))
def test_test_is_there_when_the_table_names_it(proof: str) -> None:
    path, _, name = proof.partition("::")
    text = (ROOT / path).read_text("utf-8")
    if name:
        assert name in {n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)}


def test_the_table_is_current_when_the_documents_are_read() -> None:
    documented = {verb for command in SHOWN + NAMED for verb in verbs(command)}
    assert sorted(RUN_BY.keys() - documented) == []


def called_by(words: Sequence[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and the words that are left for it."""
    program, *rest = words
    if program == "civicbus" and rest[0] in MOUNTED:
        member, *rest = rest
        app = importlib.import_module(MOUNTED[member][0]).app
    else:
        app = civicbus_app if program == "civicbus" else audit_app
    called: Any = typer.main.get_command(app)
    while rest and rest[0] in getattr(called, "commands", {}):
        called = called.commands[rest.pop(0)]
    return called, rest


@pytest.mark.parametrize(
    "command",
    [c for c in SHOWN + NAMED if c.words[0] in {"civicbus", "civicbus-audit"}],
    ids=lambda c: c.line,
)
def test_command_and_options_are_known_when_a_document_uses_them(command: Command) -> None:
    called, rest = called_by(command.words)
    assert not hasattr(called, "commands"), "no such command"
    known = {name for p in called.params for name in (*p.opts, *p.secondary_opts)}
    assert {word for word in rest if re.match(r"--?[a-z]", word)} <= known


def test_make_has_about_a_dozen_verbs_when_it_is_asked_for_help() -> None:
    told = dict(line.split(maxsplit=1) for line in make("help").splitlines())
    assert told == help_of_make()
    assert 10 <= len(told) <= 14
    assert {f"make {verb}" for verb in told} == {v for v in RUN_BY if v.startswith("make ")}


@pytest.mark.parametrize(
    ("verb", "tool"),
    [
        ("test-fast", '--dist worksteal --durations 10 -m "not broker and not docker"'),
        ("test-broker", '-m "broker or docker"'),
        ("campaign", ".venv/bin/pytest -m crash --rounds 100"),
        ("bench", ".venv/bin/python -m tests.benchmarks"),
        ("demo", ".venv/bin/civicbus demo"),
        ("lock", ".uv/bin/uv lock"),
        ("clean", "rm -rf .venv .uv"),
    ],
)
def test_make_would_run_the_tool_when_the_verb_is_called(verb: str, tool: str) -> None:
    assert tool in make("--dry-run", verb)


def test_ci_calls_what_the_readme_says_when_it_runs() -> None:
    steps = re.findall(r"^step (\S+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert f"`make {' '.join(steps)}`" in documents.named("README.md").text


def test_no_command_hides_from_these_tests_when_it_stands_outside_of_a_block() -> None:
    assert [line for source in DOCUMENTS for line in documents.loose_commands(source)] == []
