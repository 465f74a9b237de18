"""The use-cases: plain synchronous code over ports, one a file."""
