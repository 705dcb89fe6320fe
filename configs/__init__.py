"""Configuration values (YAML only); the schemas live beside the code that reads them."""
