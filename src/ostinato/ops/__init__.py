"""torch ops over the kernels: one for a whole sequence, its backward, and the random masks."""
