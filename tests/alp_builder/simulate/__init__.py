"""Tests of the simulated world and its narrator."""
