"""Folds what citizens consent to into one state per subject, and says when a withdrawal binds."""
