"""Tests of the peers half, against real redis-server processes."""
