"""Recording of runs as MCAP files, their replay through the same tick, and their export."""
