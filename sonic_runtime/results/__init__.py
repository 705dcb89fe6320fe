"""What came of a run: recordings, tracking metrics, pictures and the report page. Nothing here runs inside a tick."""
