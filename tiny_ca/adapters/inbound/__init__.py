"""What drives the application from outside."""
