"""Motion clips: one schema, the formats read into it, and a procedural generator."""
