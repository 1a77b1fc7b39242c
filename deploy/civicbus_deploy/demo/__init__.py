"""The demo: the main job on the real servers, told as one story that ends with checks."""
