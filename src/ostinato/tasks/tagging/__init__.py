"""What tagging is made of beside its recipe."""
