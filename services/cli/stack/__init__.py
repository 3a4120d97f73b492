"""The local stack: database, broker and every process of the platform under one supervisor, from wheels only."""
