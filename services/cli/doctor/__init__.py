"""`faultline doctor`: looks at everything that must hold, and says what to do where it does not."""
