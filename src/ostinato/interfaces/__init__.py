"""What a person touches: the command line and the report, made from the tasks' typed fields."""
