"""Distributions on spheres."""
