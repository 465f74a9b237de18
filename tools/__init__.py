"""What checks the project; no part of the package."""
