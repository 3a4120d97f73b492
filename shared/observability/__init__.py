"""What is seen from outside: JSON logs with ids, metrics declared once, traces."""
