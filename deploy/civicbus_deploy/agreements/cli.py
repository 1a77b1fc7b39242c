"""`civicbus agreement`: what reviewers ask of agreements, and what officers do to them."""

from __future__ import annotations

from civicbus_audit.command_line import CommandLine

from civicbus_deploy.agreements import reviewing, using, verbs

app = CommandLine(
    help="Review agreements before they bind; approve, suspend and revoke them.",
    no_args_is_help=True,
)
app.command()(reviewing.lint)
app.command("list")(reviewing.list_agreements)
app.command()(reviewing.diff)
app.command()(using.unused)
verbs.mount(app)
