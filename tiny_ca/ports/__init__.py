"""What the application needs from outside: one small protocol per capability."""
