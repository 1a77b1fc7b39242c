"""Names of spans, attributes and metrics: the only place where they are written.

No attribute may carry a subject's pseudonym, a number or a name (invariant I6).
"""

from __future__ import annotations

SCOPE = "civicbus"

# Spans
PUBLISH = "publish"
ENFORCE_BATCH = "enforce batch"
ENFORCE_EVENT = "enforce event"
RELEASE = "release"
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
SAMPLED_EVENT = "civicbus.event.sampled"
TREE_SIZE = "civicbus.tree.size"
TOPIC = "messaging.destination.name"
PARTITION = "messaging.destination.partition.id"
OFFSET = "messaging.kafka.offset"

# Metrics (Prometheus names; counters end in _total)
EVENTS_TOTAL = "civicbus_events_total"
DELIVERIES_TOTAL = "civicbus_deliveries_total"
DEAD_LETTERS_TOTAL = "civicbus_dead_letters_total"
PAGES_TOTAL = "civicbus_pages_total"
BATCH_SECONDS = "civicbus_batch_seconds"
LEAVES_TOTAL = "civicbus_leaves_total"
LOOKUPS_TOTAL = "civicbus_lookups_total"
CONSENT_EVENTS_TOTAL = "civicbus_consent_events_total"
CONSENT_BATCH_SECONDS = "civicbus_consent_batch_seconds"
CONSENT_SUBJECTS = "civicbus_consent_subjects"
SEALING_BACKLOG = "civicbus_sealing_backlog_pages"
SEALING_BATCH_SECONDS = "civicbus_sealing_batch_seconds"
SEALING_FINDINGS_TOTAL = "civicbus_sealing_findings_total"
CHECKPOINT_SIZE = "civicbus_checkpoint_size_leaves"
CHECKPOINT_AGE = "civicbus_checkpoint_age_seconds"
INDEX_BACKLOG = "civicbus_index_backlog_leaves"
VIEW_DELIVERIES_TOTAL = "civicbus_view_deliveries_total"
VIEW_QUARANTINED_TOTAL = "civicbus_view_quarantined_total"
VIEW_BATCH_SECONDS = "civicbus_view_batch_seconds"
VIEW_WATERMARK = "civicbus_view_watermark"
