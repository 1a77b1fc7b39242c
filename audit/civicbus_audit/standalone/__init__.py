"""`verify.py` goes into every bundle. It is one file, and imports nothing of ours."""
