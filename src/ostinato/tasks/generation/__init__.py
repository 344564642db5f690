"""What `ostinato generate` is made of: texts and music as one kind of thing, plans, pictures."""
