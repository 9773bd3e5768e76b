"""The trade: from a town hall's question to a working suite."""
