"""`faultline demo`: from data to honest scores.

`plan` says what is trained, `stages` does it, `reading` explains it.
"""
