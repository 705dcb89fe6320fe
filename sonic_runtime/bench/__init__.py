"""`sonic-bench`: one measurement per file."""
