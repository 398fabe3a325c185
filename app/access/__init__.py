"""Who may ask: keys, what each may do, and how much of the service it may take."""
