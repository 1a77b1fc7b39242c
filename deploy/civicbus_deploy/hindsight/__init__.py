"""What past decisions tell: were they right, would others have been, what was never used."""
