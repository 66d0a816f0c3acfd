"""Mixtures of distributions on manifolds, fitted by expectation and maximisation."""
