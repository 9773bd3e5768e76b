"""Sign-in by ProConnect."""
