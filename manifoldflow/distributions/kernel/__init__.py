"""Kernel densities on spheres, tori, simplices and products of them."""
