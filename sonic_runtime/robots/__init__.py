"""The robots this project knows, as numbers with units and sources."""
