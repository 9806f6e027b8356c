"""Answers to "why?", made of stored rows alone: each is a list of lines, what matters first."""
