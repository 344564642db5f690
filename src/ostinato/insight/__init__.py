"""What goes on inside: gates and states over time, and the gradient through it."""
