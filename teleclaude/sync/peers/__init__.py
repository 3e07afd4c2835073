"""The other computers, over Redis Streams. The only place that imports Redis."""
