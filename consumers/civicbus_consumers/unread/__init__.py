"""What lies unread in recipients' delivery topics: asked by record, told by record and time."""
