"""The ProConnect of the demonstration: another process, another database, another secret, other cookies."""
