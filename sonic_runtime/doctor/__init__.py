"""`sonic-doctor`: would a run be safe here? Each check says what it found, and what to do about it."""
