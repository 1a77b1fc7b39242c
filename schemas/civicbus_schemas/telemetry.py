"""Names of spans, attributes and metrics: the only place where they are written.

No attribute may carry a subject's pseudonym, a number or a name (invariant I6).
"""

from __future__ import annotations

SCOPE = "civicbus"

# Spans
PUBLISH = "publish"
ENFORCE_BATCH = "enforce batch"
ENFORCE_EVENT = "enforce event"
RECORD_PAGE = "record page"
COMMIT_BATCH = "commit batch"
FOLD_CONSENTS = "fold consents"
RECEIVE = "receive"
APPLY_TO_VIEW = "apply to view"
SEAL_PAGES = "seal pages"
LOOK_UP = "look up"

# Attributes
EVENT_ID = "civicbus.event.id"
EVENT_TYPE = "civicbus.event.type"
AGREEMENT = "civicbus.agreement"
RECIPIENT = "civicbus.recipient"
PURPOSE = "civicbus.purpose"
OUTCOME = "civicbus.decision"
REASON = "civicbus.reason"
PAGE_SEQUENCE = "civicbus.page.sequence"
RECORDER = "civicbus.recorder"
GROUP = "civicbus.group"
EVENTS = "civicbus.events"
LEAVES = "civicbus.leaves"
TREE_SIZE = "civicbus.tree.size"
TOPIC = "messaging.destination.name"
PARTITION = "messaging.destination.partition.id"
OFFSET = "messaging.kafka.offset"

# Metrics (Prometheus names; counters end in _total)
EVENTS_TOTAL = "civicbus_events_total"
DECISIONS_TOTAL = "civicbus_decisions_total"
DEAD_LETTERS_TOTAL = "civicbus_dead_letters_total"
PAGES_TOTAL = "civicbus_pages_total"
BATCH_SECONDS = "civicbus_batch_seconds"
LEAVES_TOTAL = "civicbus_leaves_total"
LOOKUPS_TOTAL = "civicbus_lookups_total"
