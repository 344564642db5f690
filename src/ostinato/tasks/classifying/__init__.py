"""The parts of the recipe that classifies texts."""
