"""What meets the outside: drivers of the application (inbound), and what it drives (outbound)."""
