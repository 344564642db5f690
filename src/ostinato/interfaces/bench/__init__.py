"""`ostinato bench`: our layers beside those of other libraries, values and gradients first, then the time."""
