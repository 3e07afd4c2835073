"""Answers from afar, on the side of the computer whose agent asks."""
