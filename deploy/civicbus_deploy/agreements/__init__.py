"""What a reviewer of agreements asks: are they sound, which bind today, what would change."""
